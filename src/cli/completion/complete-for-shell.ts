import { printable } from '../../base/text.js';
import type { Command } from '../framework/command.js';
import { parseBashLine, replacedPart } from './bash-line.js';
import { complete, completeAmong, type CompletionCandidate } from './complete.js';

/** Looks up the targets with this prefix. */
export type FindTargets = (prefix: string) => Promise<readonly CompletionCandidate[]>;

const oneLine = (words: string): string => printable(words.replaceAll(/\s+/g, ' '));

/** A word without characters that are special to a shell. Valid names of Services and pods have none. */
const isPlainWord = ({ word }: CompletionCandidate): boolean => /^[\w.:/[\]-]+$/.test(word);

/** Shortens a word to the part that the shell replaces. */
type Shorten = (word: string) => string;

const completionText = async (
  commands: readonly Command[],
  words: readonly string[],
  current: string,
  options: { readonly shorten: Shorten; readonly findTargets: FindTargets },
): Promise<string> => {
  const { shorten, findTargets } = options;
  const { candidates, lookup, prefix } = complete(commands, words, current);
  const found = lookup === 'target' ? (await findTargets(current)).filter(isPlainWord) : [];
  const lines = [...candidates, ...found].map(({ word, summary }) => `${shorten(word)}\t${oneLine(summary)}`);
  if (lookup === 'file') {
    const start = current.slice(prefix.length);
    const replaced = shorten(current);
    lines.push(`:file|${replaced.slice(0, Math.max(0, replaced.length - start.length))}|${start}`);
  }
  return lines.map((line) => `${line}\n`).join('');
};

/**
 * Answers `kube-ipvs __complete SHELL …`. bash passes the command line up to the cursor and its word breaks; the other shells pass
 * the words after the program name, the last of which is to be completed.
 */
export const completeForShell = async (
  commands: readonly Command[],
  request: readonly string[],
  findTargets: FindTargets,
): Promise<string> => {
  const [shell, ...given] = request;
  if (shell === 'bash') {
    const [line = '', wordBreaks = ''] = given;
    const read = parseBashLine(line);
    const shorten: Shorten = (word) => replacedPart(word, read, wordBreaks);
    return completionText(commands, read.words.slice(1), read.current, { shorten, findTargets });
  }
  return completionText(commands, given.slice(0, -1), given.at(-1) ?? '', {
    shorten: (word) => word,
    findTargets,
  });
};

/** Bits of the last line of a completion, as kubectl reads it (ShellCompDirective of spf13/cobra). */
const directives = { default: 0, noFiles: 4 } as const;

/** Answers `kubectl_complete-kube_ipvs WORDS…`, which kubectl runs to complete a plugin's command line; the last word is completed. */
export const completeForKubectl = (commands: readonly Command[], words: readonly string[]): string => {
  const [before, current] = [words.slice(0, -1), words.at(-1) ?? ''];
  const { candidates, lookup } = completeAmong(commands, before, current);
  const lines = candidates.map(({ word, summary }) => `${word}\t${oneLine(summary)}\n`);
  return `${lines.join('')}:${lookup === 'file' ? directives.default : directives.noFiles}\n`;
};
