import type { Flag } from '../../config/flag.js';
import { flagTable } from '../../config/flag-table.js';
import { kernelSchedulers, detectLocalModes } from '../../config/known-values.js';
import { longOptionName, type RunnableCommand, type CompletionKind } from '../framework/command.js';

/** An option as a shell sees it. */
export interface CompletableOption {
  /** `-o` and `--output`. */
  readonly names: readonly string[];
  readonly summary: string;
  /** What its value may be; undefined: it has none. */
  readonly value: { readonly words: readonly string[]; readonly completion: CompletionKind } | undefined;
  readonly repeatable: boolean;
}

export const helpOption: CompletableOption = {
  names: ['-h', '--help'],
  summary: 'what the command does, with examples',
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
      // The word after one that may stand without its value is another's.
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
