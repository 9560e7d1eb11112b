import { Argument, Command as Parser, CommanderError, InvalidArgumentError, Option } from 'commander';
import { nearest } from '../../config/nearest.js';
import {
  exitStatus,
  longOptionName,
  type RunnableCommand,
  type Command,
  type Operand,
  type OptionDefinition,
} from './command.js';
import { helpFooter, operandUsage } from './command-help.js';

const appendValue = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

/** Rejects a word that is not one of the choices, with a suggestion. */
const choiceParser =
  (choices: readonly string[]) =>
  (word: string): string => {
    if (choices.includes(word)) return word;
    const meant = nearest(word, choices);
    const hint = meant === undefined ? '' : `Did you mean ${meant}? `;
    throw new InvalidArgumentError(`${hint}Allowed choices are ${choices.join(', ')}.`);
  };

const optionFor = (name: string, definition: OptionDefinition<unknown>): Option => {
  const { short, placeholder, isValueOptional, choices, defaultValue, repeatable, mandatory, summary } =
    definition;
  const words = [...(short === undefined ? [] : [`-${short}`]), longOptionName(name)].join(', ');
  const value = isValueOptional === true ? ` [${placeholder}]` : ` <${placeholder}>`;
  const option = new Option(placeholder === undefined ? words : `${words}${value}`, summary);
  if (choices !== undefined) option.choices([...choices]).argParser(choiceParser(choices));
  if (defaultValue !== undefined) option.default(defaultValue);
  if (repeatable === true) option.argParser(appendValue);
  if (mandatory === true) option.makeOptionMandatory();
  return option;
};

const argumentFor = (operand: Operand): Argument => {
  const argument = new Argument(operandUsage(operand), operand.summary);
  return operand.choices === undefined
    ? argument
    : argument.choices([...operand.choices]).argParser(choiceParser(operand.choices));
};

/** Commander stores `--no-headers` as `headers: false`; here it is `noHeaders: true`. */
const readOptionValues = (
  names: readonly string[],
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    names.map((name) => {
      const positive = /^no([A-Z])(.*)$/.exec(name);
      if (positive === null) return [name, values[name]];
      return [name, values[`${positive[1]?.toLowerCase()}${positive[2]}`] === false];
    }),
  );

const addAction = (parent: Parser, action: RunnableCommand, finish: (status: number) => void): void => {
  const parser = parent
    .command(action.name)
    .description(action.summary)
    .addHelpText('after', helpFooter(action));
  for (const [name, definition] of Object.entries(action.options))
    parser.addOption(optionFor(name, definition));
  if (action.operand !== undefined) parser.addArgument(argumentFor(action.operand));
  if (action.allowsUnknownOptions === true) parser.allowUnknownOption();
  parser.action(async () => {
    finish(await action.run(parser.args, readOptionValues(Object.keys(action.options), parser.opts())));
  });
};

const addCommand = (root: Parser, command: Command, finish: (status: number) => void): void => {
  if (!('commands' in command)) return addAction(root, command, finish);
  const group = root
    .command(command.name)
    .description(command.summary)
    .addHelpText('after', helpFooter(command));
  for (const action of command.commands) addAction(group, action, finish);
};

/** Turns `dump help` into `dump --help`. */
const withHelpOption = (commands: readonly Command[], argv: readonly string[]): readonly string[] => {
  if (argv.at(-1) !== 'help') return argv;
  const [name, subcommand] = argv.slice(0, -1);
  const command = commands.find((one) => one.name === name);
  if (command === undefined || argv.length > 3) return argv;
  const isPath =
    argv.length === 2 || ('commands' in command && command.commands.some((one) => one.name === subcommand));
  return isPath ? [...argv.slice(0, -1), '--help'] : argv;
};

/** A program as its help describes it. */
export interface ProgramHelp {
  readonly name: string;
  /** The text below the list of commands. */
  readonly footer?: string;
}

/** Runs the command of a command line. Resolves to the exit status. */
export const runCommandLine = async (
  commands: readonly Command[],
  argv: readonly string[],
  { name, footer = '' }: ProgramHelp = { name: 'kube-ipvs' },
): Promise<number> => {
  let status: number = exitStatus.success;
  const root = new Parser(name)
    .exitOverride()
    .addHelpText('after', footer)
    .showHelpAfterError('Add --help for usage.')
    .configureOutput({ outputError: (words, write) => write(words.replace(/^error: /, 'kube-ipvs: ')) });
  for (const one of commands)
    addCommand(root, one, (result) => {
      status = result;
    });
  try {
    await root.parseAsync(withHelpOption(commands, argv), { from: 'user' });
    return status;
  } catch (error) {
    // Commander has printed it.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus.success : exitStatus.usage;
    throw error;
  }
};
