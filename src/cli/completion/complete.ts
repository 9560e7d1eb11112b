import type { RunnableCommand, Command, CompletionKind, Operand } from '../framework/command.js';
import { daemonOptions, optionsOf, type CompletableOption } from './completable-options.js';

/** A word that completes the command line. */
export interface CompletionCandidate {
  readonly word: string;
  readonly summary: string;
}

/** The completions of a word of the command line. */
export interface Completions {
  readonly candidates: readonly CompletionCandidate[];
  /** Further candidates that the caller must look up. */
  readonly lookup: CompletionKind;
  /** The fixed beginning of the word, for example `--config=`: it precedes the candidates of `lookup`. */
  readonly prefix: string;
}

/** The options and the operand of a command. */
interface Grammar {
  readonly options: readonly CompletableOption[];
  readonly operand: Operand | undefined;
}

const noCompletions: Completions = { candidates: [], lookup: 'nothing', prefix: '' };

const ofAction = (action: RunnableCommand): Grammar => {
  const { operand } = action;
  const options =
    operand?.completion === 'daemon-flag' ? [...optionsOf(action), ...daemonOptions] : optionsOf(action);
  return { options, operand };
};

const starting = (
  start: string,
  candidates: readonly CompletionCandidate[],
): readonly CompletionCandidate[] => candidates.filter(({ word }) => word.startsWith(start));

const valuesOf = ({ value }: CompletableOption, current: string, prefix: string): Completions => ({
  candidates: starting(
    prefix + current,
    (value?.words ?? []).map((word) => ({ word: prefix + word, summary: '' })),
  ),
  lookup: value?.completion ?? 'nothing',
  prefix,
});

/** The options used so far, the number of operands, and the option whose value is next. */
const parseWords = (words: readonly string[], { options }: Grammar) => {
  const used = new Set<CompletableOption>();
  let operands = 0;
  let waiting: CompletableOption | undefined;
  let ended = false;
  for (const word of words) {
    const option = options.find(({ names }) => names.includes(word.split('=')[0] ?? ''));
    if (waiting !== undefined) waiting = undefined;
    else if (!ended && word === '--') ended = true;
    else if (!ended && option !== undefined) {
      used.add(option);
      if (option.value !== undefined && !word.includes('=')) waiting = option;
    } else if (ended || !word.startsWith('-')) operands += 1;
  }
  return { used, operands, waiting, ended };
};

const optionNames = (
  options: readonly CompletableOption[],
  used: ReadonlySet<CompletableOption>,
  current: string,
): readonly CompletionCandidate[] =>
  starting(
    current,
    options
      .filter((option) => option.repeatable || !used.has(option))
      // A short name is offered only if it was typed.
      .flatMap(({ names, summary }) =>
        names
          .filter((name) => name.startsWith('--') || current === name || names.length === 1)
          .map((word) => ({ word, summary })),
      ),
  );

const completeIn = (grammar: Grammar, before: readonly string[], current: string): Completions => {
  const { used, operands, waiting, ended } = parseWords(before, grammar);
  if (waiting !== undefined) return valuesOf(waiting, current, '');
  if (!ended && current.startsWith('-')) {
    const equals = current.indexOf('=');
    if (equals < 0) return { ...noCompletions, candidates: optionNames(grammar.options, used, current) };
    const option = grammar.options.find(({ names }) => names.includes(current.slice(0, equals)));
    if (option?.value === undefined) return noCompletions;
    return valuesOf(option, current.slice(equals + 1), current.slice(0, equals + 1));
  }
  const { operand } = grammar;
  if (operand === undefined || (operands > 0 && operand.variadic !== true)) return noCompletions;
  const words = (operand.choices ?? []).map((word) => ({ word, summary: '' }));
  return { ...noCompletions, candidates: starting(current, words), lookup: operand.completion ?? 'nothing' };
};

const named = (
  commands: readonly { readonly name: string; readonly summary: string }[],
  current: string,
) => ({
  ...noCompletions,
  candidates: starting(
    current,
    commands.map(({ name, summary }) => ({ word: name, summary })),
  ),
});

const builtIn = [
  { name: 'run', summary: 'Run the daemon (the default with flags only)' },
  { name: 'help', summary: 'Show help for a command' },
];

const completeCommand = (command: Command, words: readonly string[], current: string): Completions => {
  if (!('commands' in command)) return completeIn(ofAction(command), words, current);
  const [name, ...rest] = words;
  if (name === undefined) return named(command.commands, current);
  const action = command.commands.find((one) => one.name === name);
  return action === undefined ? noCompletions : completeIn(ofAction(action), rest, current);
};

const completeHelp = (
  commands: readonly Command[],
  words: readonly string[],
  current: string,
): Completions => {
  if (words.length === 0) return named([...commands, ...builtIn.slice(0, 1)], current);
  const command = commands.find(({ name }) => name === words[0]);
  return words.length === 1 && command !== undefined && 'commands' in command
    ? named(command.commands, current)
    : noCompletions;
};

/** The completions of `current` after these words. */
export const complete = (
  commands: readonly Command[],
  words: readonly string[],
  current: string,
): Completions => {
  const [name, ...rest] = words;
  const daemon: Grammar = { options: daemonOptions, operand: undefined };
  if (name === undefined)
    return current.startsWith('-')
      ? completeIn(daemon, [], current)
      : named([...commands, ...builtIn], current);
  if (name === 'help') return completeHelp(commands, rest, current);
  if (name === 'run') return completeIn(daemon, rest, current);
  if (name.startsWith('-')) return completeIn(daemon, words, current);
  return completeAmong(commands, words, current);
};

/** The same for a program that has these commands and no daemon. */
export const completeAmong = (
  commands: readonly Command[],
  [name, ...rest]: readonly string[],
  current: string,
): Completions => {
  if (name === undefined) return named(commands, current);
  const command = commands.find((one) => one.name === name);
  return command === undefined ? noCompletions : completeCommand(command, rest, current);
};
