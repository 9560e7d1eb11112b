import type { Flag } from '../../config/flag.js';
import { flagTable } from '../../config/flag-table.js';
import { kernelSchedulers, detectLocalModes } from '../../config/known-values.js';
import { longOptionName, type RunnableCommand, type CompletionKind } from '../framework/command.js';

/** An option as a shell completes it. */
export interface CompletableOption {
  /** `-o` and `--output`. */
  readonly names: readonly string[];
  readonly summary: string;
  /** The completion of its value; undefined: it takes none. */
  readonly value: { readonly words: readonly string[]; readonly completion: CompletionKind } | undefined;
  readonly repeatable: boolean;
}

export const helpOption: CompletableOption = {
  names: ['-h', '--help'],
  summary: 'show help',
  value: undefined,
  repeatable: false,
};

/** The options of a command. */
export const optionsOf = ({ options }: RunnableCommand): readonly CompletableOption[] => [
  ...Object.entries(options).map(
    ([
      name,
      { short, summary, placeholder, isValueOptional, choices, suggestions, completion, repeatable },
    ]) => ({
      names: [...(short === undefined ? [] : [`-${short}`]), longOptionName(name)],
      summary,
      // The word after an option with an optional value is not its value.
      value:
        placeholder === undefined || isValueOptional === true
          ? undefined
          : { words: choices ?? suggestions ?? [], completion },
      repeatable: repeatable === true,
    }),
  ),
  helpOption,
];

const flagWords: Readonly<Record<string, readonly string[]>> = {
  source: ['api'],
  'proxy-mode': ['ipvs'],
  'ipvs-scheduler': kernelSchedulers,
  'detect-local-mode': detectLocalModes,
  'logging-format': ['text', 'json'],
};

const isPath = ({ placeholder }: Flag): boolean => placeholder === 'FILE' || placeholder === 'api|PATH';

/** The flags of the daemon. */
export const daemonOptions: readonly CompletableOption[] = flagTable.map((flag) => ({
  names: flag.name === 'v' ? ['-v', '--v'] : flag.name === 'help' ? helpOption.names : [`--${flag.name}`],
  summary: flag.help,
  value:
    flag.kind === 'boolean'
      ? undefined
      : { words: flagWords[flag.name] ?? [], completion: isPath(flag) ? 'file' : 'nothing' },
  repeatable: flag.kind === 'list' || flag.kind === 'pairs',
}));
