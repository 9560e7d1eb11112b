import { colorModes } from '../output/palette.js';

/** As --help and the README tell; `diff` has its own meaning for 1 and 2. */
export const exitStatus = { success: 0, error: 1, usage: 2 } as const;

/** What may stand at a place of the command line; a shell completes it with this. */
export type CompletionKind = 'nothing' | 'file' | 'target' | 'daemon-flag';

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
  readonly defaultValue?: string;
  readonly repeatable?: boolean;
  readonly mandatory?: boolean;
  readonly completion: CompletionKind;
  readonly parse: (given: unknown) => Value;
}

interface OptionDetails {
  readonly short?: string;
  readonly completion?: CompletionKind;
}

/** An option without a value: it was given or not. */
export const booleanOption = (summary: string, details: OptionDetails = {}): OptionDefinition<boolean> => ({
  completion: 'nothing',
  ...details,
  summary,
  parse: (given) => given === true,
});

const textOf = (given: unknown): string | undefined => (typeof given === 'string' ? given : undefined);

/** An option with a text. */
export const stringOption = (
  placeholder: string,
  summary: string,
  details: OptionDetails = {},
): OptionDefinition<string | undefined> => ({
  completion: 'nothing',
  ...details,
  summary,
  placeholder,
  parse: textOf,
});

/** An option with a text, which is '' where it is given without one; one that is given stands after `=`. */
export const optionalStringOption = (
  placeholder: string,
  summary: string,
  details: OptionDetails = {},
): OptionDefinition<string | undefined> => ({
  ...stringOption(placeholder, summary, details),
  isValueOptional: true,
  parse: (given) => (given === true ? '' : textOf(given)),
});

/** An option that may be given several times; every text counts. */
export const stringListOption = (
  placeholder: string,
  summary: string,
  details: OptionDetails & { readonly mandatory?: boolean } = {},
): OptionDefinition<readonly string[]> => ({
  completion: 'nothing',
  ...details,
  summary,
  placeholder,
  repeatable: true,
  parse: (given) => (Array.isArray(given) ? given.map(String) : []),
});

/** An option with one of some words. */
export const choiceOption = <const Word extends string, const Default extends Word | undefined>(
  placeholder: string,
  choices: readonly Word[],
  defaultValue: Default,
  summary: string,
  details: OptionDetails = {},
): OptionDefinition<Default extends undefined ? Word | undefined : Word> => ({
  completion: 'nothing',
  ...details,
  summary,
  placeholder,
  choices,
  ...(defaultValue === undefined ? {} : { defaultValue }),
  // Commander has refused every other word, and puts the standard where none was given.
  parse: (given) => (textOf(given) ?? defaultValue) as Default extends undefined ? Word | undefined : Word,
});

/** How the data of a command is printed, as everywhere in kubectl. */
export const outputOption = <const Word extends string, const Default extends Word>(
  choices: readonly Word[],
  defaultValue: Default,
) => choiceOption('format', choices, defaultValue, 'how to print it', { short: 'o' });

/** Whether a command that paints does. */
export const colorOption = choiceOption(
  'when',
  colorModes,
  'auto',
  'colours; auto: on a terminal, unless NO_COLOR is set',
);

/** What stands after the command's name and options. */
export interface Operand {
  readonly name: string;
  readonly summary: string;
  readonly mandatory?: boolean;
  readonly variadic?: boolean;
  readonly choices?: readonly string[];
  readonly completion?: CompletionKind;
}

/** What help and the man page tell of a command. */
interface CommandDescription {
  readonly name: string;
  /** One sentence. */
  readonly summary: string;
  /** Paragraphs. */
  readonly description?: string;
  /** A command line, and what it does. */
  readonly examples: readonly (readonly [command: string, effect?: string])[];
  /** What it takes to run it; a sentence. */
  readonly requirements?: string;
  /** What each exit status means, from 0 on. */
  readonly exitStatuses: readonly string[];
}

type OptionDefinitions = Readonly<Record<string, OptionDefinition<unknown>>>;
type OptionValues<Given extends OptionDefinitions> = {
  readonly [Name in keyof Given]: ReturnType<Given[Name]['parse']>;
};

/** A command that does something. Its options are named in camelCase: `dryRun` is --dry-run. */
export interface RunnableCommand extends CommandDescription {
  readonly operand?: Operand;
  readonly options: OptionDefinitions;
  /** Options that it does not know are operands. */
  readonly allowsUnknownOptions?: boolean;
  /** Resolves to the exit status. The implementation is imported only here, so that no command pays for another. */
  readonly run: (
    operands: readonly string[],
    rawValues: Readonly<Record<string, unknown>>,
  ) => Promise<number>;
}

/** A command of commands. */
export interface CommandGroup extends CommandDescription {
  readonly commands: readonly RunnableCommand[];
}

export type Command = RunnableCommand | CommandGroup;

/** Makes a command; `run` gets its options read. */
export const defineCommand = <Given extends OptionDefinitions>(
  definition: Omit<RunnableCommand, 'options' | 'run'> & {
    readonly options: Given;
    readonly run: (operands: readonly string[], options: OptionValues<Given>) => Promise<number>;
  },
): RunnableCommand => ({
  ...definition,
  run: (operands, rawValues) => {
    const parsed = Object.entries(definition.options).map(([name, option]) => [
      name,
      option.parse(rawValues[name]),
    ]);
    return definition.run(operands, Object.fromEntries(parsed) as OptionValues<Given>);
  },
});

/** `dryRun` as it is written on the command line: `--dry-run`. */
export const longOptionName = (name: string): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
