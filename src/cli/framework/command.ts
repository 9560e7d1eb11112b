import { colorModes } from '../output/palette.js';

/** As --help and the README list them; `diff` and `status` define 1 and 2 differently. */
export const exitStatus = { success: 0, error: 1, usage: 2 } as const;

/** What a shell completes a word of the command line with. */
export type CompletionKind = 'nothing' | 'file' | 'target' | 'daemon-flag';

/** An option of a command. */
export interface OptionDefinition<Value> {
  /** One letter. */
  readonly short?: string;
  readonly summary: string;
  /** The name of its value in help; undefined: it takes none. */
  readonly placeholder?: string;
  /** Its value may be omitted. */
  readonly isValueOptional?: boolean;
  readonly choices?: readonly string[];
  /** Values that a shell offers where others are valid too. */
  readonly suggestions?: readonly string[];
  readonly defaultValue?: string;
  readonly repeatable?: boolean;
  readonly mandatory?: boolean;
  readonly completion: CompletionKind;
  /** Converts the value of commander. */
  readonly parse: (given: unknown) => Value;
}

interface OptionDetails {
  readonly short?: string;
  readonly completion?: CompletionKind;
}

/** An option without a value. */
export const booleanOption = (summary: string, details: OptionDetails = {}): OptionDefinition<boolean> => ({
  completion: 'nothing',
  ...details,
  summary,
  parse: (given) => given === true,
});

const textOf = (given: unknown): string | undefined => (typeof given === 'string' ? given : undefined);

/** An option with a text value. */
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

/** An option with a text value that may be omitted: '' then. A value follows after `=`. */
export const optionalStringOption = (
  placeholder: string,
  summary: string,
  details: OptionDetails = {},
): OptionDefinition<string | undefined> => ({
  ...stringOption(placeholder, summary, details),
  isValueOptional: true,
  parse: (given) => (given === true ? '' : textOf(given)),
});

/** An option that may be repeated; it collects all values. */
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

/** An option with a fixed set of values. */
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
  // Commander rejects every other value and sets the default.
  parse: (given) => (textOf(given) ?? defaultValue) as Default extends undefined ? Word | undefined : Word,
});

/** The output format, as in kubectl. */
export const outputOption = <const Word extends string, const Default extends Word>(
  choices: readonly Word[],
  defaultValue: Default,
) => choiceOption('format', choices, defaultValue, 'output format', { short: 'o' });

/** Whether the output has colours. */
export const colorOption = choiceOption(
  'when',
  colorModes,
  'auto',
  'when to use colours; auto: on a terminal, unless NO_COLOR is set',
);

/** The argument of a command after its options. */
export interface Operand {
  readonly name: string;
  readonly summary: string;
  readonly mandatory?: boolean;
  readonly variadic?: boolean;
  readonly choices?: readonly string[];
  readonly completion?: CompletionKind;
}

/** The description of a command in help and in the man page. */
interface CommandDescription {
  readonly name: string;
  /** One sentence. */
  readonly summary: string;
  /** Paragraphs. */
  readonly description?: string;
  /** Command lines, and what they do. */
  readonly examples: readonly (readonly [command: string, effect?: string])[];
  /** What is needed to run it: a sentence. */
  readonly requirements?: string;
  /** The meaning of each exit status, from 0 on. */
  readonly exitStatuses: readonly string[];
}

type OptionDefinitions = Readonly<Record<string, OptionDefinition<unknown>>>;
type OptionValues<Given extends OptionDefinitions> = {
  readonly [Name in keyof Given]: ReturnType<Given[Name]['parse']>;
};

/** A command without subcommands. Its options are named in camelCase: `dryRun` is --dry-run. */
export interface RunnableCommand extends CommandDescription {
  readonly operand?: Operand;
  readonly options: OptionDefinitions;
  /** Passes unknown options on as operands. */
  readonly allowsUnknownOptions?: boolean;
  /** Resolves to the exit status. It imports the implementation: a command loads no code of others. */
  readonly run: (
    operands: readonly string[],
    rawValues: Readonly<Record<string, unknown>>,
  ) => Promise<number>;
}

/** A command with subcommands. */
export interface CommandGroup extends CommandDescription {
  readonly commands: readonly RunnableCommand[];
}

export type Command = RunnableCommand | CommandGroup;

/** Defines a command; `run` receives the parsed options. */
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

/** `--dry-run` for `dryRun`. */
export const longOptionName = (name: string): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
