import type { Paint } from './columns.js';

/** The few looks we use. */
export interface Palette {
  readonly strong: Paint;
  readonly faint: Paint;
  readonly warning: Paint;
  readonly danger: Paint;
  readonly success: Paint;
}

const plain: Paint = (text) => text;

/** Everything as it is: for files and pipes. */
export const plainPalette: Palette = {
  strong: plain,
  faint: plain,
  warning: plain,
  danger: plain,
  success: plain,
};

const sequence =
  (code: number): Paint =>
  (text) =>
    `\u001b[${code}m${text}\u001b[0m`;

/** What --color says. */
export const colorModes = ['auto', 'always', 'never'] as const;
export type ColorMode = (typeof colorModes)[number];

type Environment = Readonly<Record<string, string | undefined>>;

/** What was asked for on the command line counts, then FORCE_COLOR and NO_COLOR (no-color.org), as for Node itself; then what there is. */
const usesColor = (isTerminal: boolean, environment: Environment, mode: ColorMode): boolean => {
  if (mode !== 'auto') return mode === 'always';
  const { FORCE_COLOR: forced, NO_COLOR: none, TERM: terminal } = environment;
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  return isTerminal && !none && terminal !== 'dumb';
};

/** Colours on a terminal, unless somebody wishes otherwise. */
export const paletteFor = (
  { isTTY = false }: { readonly isTTY?: boolean },
  environment: Environment,
  mode: ColorMode = 'auto',
): Palette =>
  usesColor(isTTY, environment, mode)
    ? {
        strong: sequence(1),
        faint: sequence(2),
        warning: sequence(33),
        danger: sequence(31),
        success: sequence(32),
      }
    : plainPalette;
