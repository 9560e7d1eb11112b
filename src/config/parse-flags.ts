import { InputError } from '../base/errors.js';
import type { Flag } from './flag.js';
import { flagTable } from './flag-table.js';
import { nearest } from './nearest.js';

/** The values of each flag, in order; a boolean flag without a value has `true`. */
export type FlagValues = ReadonlyMap<string, readonly string[]>;

/** A flag is unknown or has no value (exit status 2). */
export class UsageError extends InputError {}

const flagsByName = new Map(flagTable.map((flag) => [flag.name, flag]));

const lookUp = (written: string): Flag => {
  const name = written.replaceAll('_', '-');
  const flag = flagsByName.get(name);
  if (flag !== undefined) return flag;
  const meant = nearest(name, flagsByName.keys());
  const hint = meant === undefined ? '`kube-ipvs --help` lists all flags' : `did you mean --${meant}?`;
  throw new UsageError(`unknown flag --${written}; ${hint}`);
};

/** `[name, value]` of `--name`, `--name=value`, `-v`, `-v=2`, `-v2`. */
const splitArgument = (argument: string): readonly [string, string | undefined] => {
  const long = /^--([^=]+)(?:=(.*))?$/s.exec(argument);
  if (long !== null) return [long[1] ?? '', long[2]];
  const short = /^-(?:(h)|v(?:=(.*)|(\d+))?)$/s.exec(argument);
  if (short !== null) return [short[1] === 'h' ? 'help' : 'v', short[2] ?? short[3]];
  if (/^-[a-z][a-z-]+/.test(argument))
    throw new UsageError(`unknown flag ${argument}; flags have two dashes: -${argument}`);
  if (argument.startsWith('-'))
    throw new UsageError(`unknown flag ${argument}; \`kube-ipvs --help\` lists all flags`);
  throw new UsageError(
    `unexpected argument "${argument}": the daemon takes flags only; \`kube-ipvs --help\` shows all commands`,
  );
};

/**
 * Parses flags as kube-proxy does: `--flag=value`, `--flag value`, `--bool`, `--bool=false`, `-v 2`, and underscores for
 * dashes. Throws a UsageError for unknown flags, missing values and other arguments.
 */
export const parseFlags = (argv: readonly string[]): FlagValues => {
  const values = new Map<string, readonly string[]>();
  for (let index = 0; index < argv.length; index += 1) {
    const [name, inline] = splitArgument(argv[index] ?? '');
    const flag = lookUp(name);
    let value = inline;
    if (value === undefined && flag.kind === 'boolean') value = 'true';
    if (value === undefined) {
      index += 1;
      value = argv[index];
    }
    if (value === undefined)
      throw new UsageError(`--${flag.name} needs a value: --${flag.name}=${flag.placeholder}`);
    values.set(flag.name, [...(values.get(flag.name) ?? []), value]);
  }
  return values;
};

const trueTexts = ['1', 't', 'T', 'true', 'TRUE', 'True'];
const falseTexts = ['0', 'f', 'F', 'false', 'FALSE', 'False'];

/** The last value of a boolean flag; false if it is not set. Throws a UsageError if the value is neither true nor false. */
export const flagIsSet = (values: FlagValues, name: string): boolean => {
  const text = values.get(name)?.at(-1) ?? 'false';
  if (![...trueTexts, ...falseTexts].includes(text))
    throw new UsageError(`--${name} must be true or false, not "${text}"`);
  return trueTexts.includes(text);
};

/** The last value of a flag; undefined if it is not set or empty. */
export const flagText = (values: FlagValues, name: string): string | undefined =>
  values.get(name)?.at(-1) || undefined;

const splitPairs = (flag: Flag, texts: readonly string[]): readonly (readonly [string, string])[] =>
  texts
    .flatMap((text) => text.split(','))
    .filter((pair) => pair !== '')
    .map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1)
        throw new UsageError(`--${flag.name} must be ${flag.placeholder}, and "${pair}" has no "="`);
      return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
    });

const toNumber = (text: string): number | string => (/^[+-]?\d+(\.\d+)?$/.test(text) ? Number(text) : text);
const toBoolean = (text: string): boolean | string =>
  trueTexts.includes(text) ? true : falseTexts.includes(text) ? false : text;

/** The value of a flag as in a file. An invalid value stays a string, which the configuration rejects. */
export const toFieldValue = (flag: Flag, texts: readonly string[]): unknown => {
  const last = texts.at(-1) ?? '';
  switch (flag.kind) {
    case 'text':
      return last;
    case 'boolean':
      return toBoolean(last);
    case 'number':
      return toNumber(last);
    case 'list':
      return texts.flatMap((text) => (text === '' ? [] : text.split(',')));
    case 'pairs': {
      const pairs = splitPairs(flag, texts);
      return flag.name === 'vmodule'
        ? pairs.map(([filePattern, level]) => ({ filePattern, verbosity: toNumber(level) }))
        : Object.fromEntries(pairs.map(([gate, value]) => [gate, toBoolean(value)]));
    }
  }
};
