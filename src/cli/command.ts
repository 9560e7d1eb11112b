import { colorWishes } from './paint.js';

/** As --help and the README tell; `diff` has its own meaning for 1 and 2. */
export const exitStatus = { done: 0, error: 1, usage: 2 } as const;

/** What may stand at a place of the command line; a shell completes it with this. */
export type Completion = 'nothing' | 'file' | 'target' | 'daemon-flag';

/** An option of a command, and how its value is read from what commander gives. */
export interface OptionDefinition<Value> {
  /** One letter. */
  readonly short?: string;
  readonly summary: string;
  /** What stands for the value in help; undefined: it takes none. */
  readonly placeholder?: string;
  /** It may stand without its value. */
  readonly isValueOptional?: boolean;
  readonly choices?: readonly string[];
  /** What a shell offers where there are more values than can be listed. */
  readonly suggestions?: readonly string[];
  readonly standard?: string;
  readonly repeatable?: boolean;
  readonly mandatory?: boolean;
  readonly completion: Completion;
  readonly read: (given: unknown) => Value;
}

interface OptionDetails {
  readonly short?: string;
  readonly completion?: Completion;
}

/** An option without a value: it was given or not. */
export const flag = (summary: string, details: OptionDetails = {}): OptionDefinition<boolean> => ({
  completion: 'nothing',
  ...details,
  summary,
  read: (given) => given === true,
});

const textOf = (given: unknown): string | undefined => (typeof given === 'string' ? given : undefined);

/** An option with a text. */
export const text = (
  placeholder: string,
  summary: string,
  details: OptionDetails = {},
): OptionDefinition<string | undefined> => ({
  completion: 'nothing',
  ...details,
  summary,
  placeholder,
  read: textOf,
});

/** An option with a text, which is '' where it is given without one; one that is given stands after `=`. */
export const optionalText = (
  placeholder: string,
  summary: string,
  details: OptionDetails = {},
): OptionDefinition<string | undefined> => ({
  ...text(placeholder, summary, details),
  isValueOptional: true,
  read: (given) => (given === true ? '' : textOf(given)),
});

/** An option that may be given several times; every text counts. */
export const texts = (
  placeholder: string,
  summary: string,
  details: OptionDetails & { readonly mandatory?: boolean } = {},
): OptionDefinition<readonly string[]> => ({
  completion: 'nothing',
  ...details,
  summary,
  placeholder,
  repeatable: true,
  read: (given) => (Array.isArray(given) ? given.map(String) : []),
});

/** An option with one of some words. */
export const choice = <const Word extends string, const Standard extends Word | undefined>(
  placeholder: string,
  choices: readonly Word[],
  standard: Standard,
  summary: string,
  details: OptionDetails = {},
): OptionDefinition<Standard extends undefined ? Word | undefined : Word> => ({
  completion: 'nothing',
  ...details,
  summary,
  placeholder,
  choices,
  ...(standard === undefined ? {} : { standard }),
  // Commander has refused every other word, and puts the standard where none was given.
  read: (given) => (textOf(given) ?? standard) as Standard extends undefined ? Word | undefined : Word,
});

/** How the data of a command is printed, as everywhere in kubectl. */
export const outputOption = <const Word extends string, const Standard extends Word>(
  choices: readonly Word[],
  standard: Standard,
) => choice('format', choices, standard, 'how to print it', { short: 'o' });

/** Whether a command that paints does. */
export const colorOption = choice(
  'when',
  colorWishes,
  'auto',
  'colours; auto: on a terminal, unless NO_COLOR is set',
);

/** What stands after the command's name and options. */
export interface Operand {
  readonly name: string;
  readonly summary: string;
  readonly mandatory?: boolean;
  readonly many?: boolean;
  readonly choices?: readonly string[];
  readonly completion?: Completion;
}

/** What help and the man page tell of a command. */
interface Description {
  readonly name: string;
  /** One sentence. */
  readonly summary: string;
  /** Paragraphs. */
  readonly about?: string;
  /** A command line, and what it does. */
  readonly examples: readonly (readonly [command: string, effect?: string])[];
  /** What it takes to run it; a sentence. */
  readonly needs?: string;
  /** What each exit status means, from 0 on. */
  readonly exitStatuses: readonly string[];
}

type Options = Readonly<Record<string, OptionDefinition<unknown>>>;
type Values<Given extends Options> = { readonly [Name in keyof Given]: ReturnType<Given[Name]['read']> };

/** A command that does something. Its options are named in camelCase: `dryRun` is --dry-run. */
export interface Action extends Description {
  readonly operand?: Operand;
  readonly options: Options;
  /** Options that it does not know are operands. */
  readonly passesOptions?: boolean;
  /** Resolves to the exit status. The implementation is imported only here, so that no command pays for another. */
  readonly run: (operands: readonly string[], given: Readonly<Record<string, unknown>>) => Promise<number>;
}

/** A command of commands. */
export interface CommandGroup extends Description {
  readonly commands: readonly Action[];
}

export type Command = Action | CommandGroup;

/** Makes a command; `run` gets its options read. */
export const command = <Given extends Options>(
  definition: Omit<Action, 'options' | 'run'> & {
    readonly options: Given;
    readonly run: (operands: readonly string[], options: Values<Given>) => Promise<number>;
  },
): Action => ({
  ...definition,
  run: (operands, given) => {
    const read = Object.entries(definition.options).map(([name, option]) => [name, option.read(given[name])]);
    return definition.run(operands, Object.fromEntries(read) as Values<Given>);
  },
});

/** `dryRun` as it is written on the command line: `--dry-run`. */
export const longName = (name: string): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
