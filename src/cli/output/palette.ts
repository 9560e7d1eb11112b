import { styleText } from 'node:util';
import type { Paint } from './columns.js';

/** The styles of all commands. */
export interface Palette {
  readonly strong: Paint;
  readonly faint: Paint;
  readonly warning: Paint;
  readonly danger: Paint;
  readonly success: Paint;
}

const plain: Paint = (text) => text;

/** For files and pipes. */
export const plainPalette: Palette = {
  strong: plain,
  faint: plain,
  warning: plain,
  danger: plain,
  success: plain,
};

const paint =
  (format: Parameters<typeof styleText>[0]): Paint =>
  (text) =>
    styleText(format, text, { validateStream: false });

const colorPalette: Palette = {
  strong: paint('bold'),
  faint: paint('dim'),
  warning: paint('yellow'),
  danger: paint('red'),
  success: paint('green'),
};

/** The values of --color. */
export const colorModes = ['auto', 'always', 'never'] as const;
export type ColorMode = (typeof colorModes)[number];

type Environment = Readonly<Record<string, string | undefined>>;

/** The command line takes precedence, then FORCE_COLOR and NO_COLOR (no-color.org), as in Node itself, then the terminal. */
const usesColor = (isTerminal: boolean, environment: Environment, mode: ColorMode): boolean => {
  if (mode !== 'auto') return mode === 'always';
  const { FORCE_COLOR: forced, NO_COLOR: none, TERM: terminal } = environment;
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  return isTerminal && !none && terminal !== 'dumb';
};

/** Colours for a terminal, unless the user or the environment turns them off. */
export const paletteFor = (
  { isTTY = false }: { readonly isTTY?: boolean },
  environment: Environment,
  mode: ColorMode = 'auto',
): Palette => (usesColor(isTTY, environment, mode) ? colorPalette : plainPalette);
