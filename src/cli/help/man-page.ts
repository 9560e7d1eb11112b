import { flagGroups, type Flag } from '../../config/flag.js';
import { flagTable } from '../../config/flag-table.js';
import {
  longOptionName,
  type RunnableCommand,
  type Command,
  type OptionDefinition,
} from '../framework/command.js';
import { operandUsage, wrapText } from '../framework/command-help.js';
import { programDescription } from './program-description.js';

// In roff, backslashes and a dot or quote at the start of a line are special. Bare hyphens and quotes are printed as other
// characters, which breaks copied commands.

const roffEscapes: Readonly<Record<string, string>> = {
  '\\': '\\e',
  '-': '\\-',
  "'": '\\(aq',
  '"': '\\(dq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
};

const escapeRoff = (text: string): string =>
  text
    .replaceAll(/[\\\-'"`^~]/g, (letter) => roffEscapes[letter] ?? letter)
    .replaceAll(
      /[^\0-\u007f]/gu,
      (letter) => `\\[u${letter.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`,
    )
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace(/^\./, '\\&.');

/** Prose in short lines, which roff fills. */
const prose = (text: string): string => wrapText(escapeRoff(text), 79, '').replaceAll(/^\./gm, '\\&.');
const bold = (text: string): string => `\\fB${escapeRoff(text)}\\fR`;
const italic = (text: string): string => `\\fI${escapeRoff(text)}\\fR`;
const section = (title: string): string => `.SH ${escapeRoff(title.toUpperCase())}`;
const subsection = (title: string): string => `.SS ${escapeRoff(title)}`;
/** A term and its definition. */
const definition = (term: string, text: string): readonly string[] => ['.TP', term, prose(text)];

const optionItem = ([name, option]: readonly [string, OptionDefinition<unknown>]): readonly string[] => {
  const { short, summary, placeholder, isValueOptional, choices, defaultValue } = option;
  const words = [...(short === undefined ? [] : [bold(`-${short}`)]), bold(longOptionName(name))].join(', ');
  const given = `=${italic(placeholder ?? '')}`;
  const value = placeholder === undefined ? '' : isValueOptional === true ? `[${given}]` : given;
  const may = choices === undefined ? '' : `: ${choices.join(', ')}`;
  return definition(
    words + value,
    summary + may + (defaultValue === undefined ? '' : ` (default ${defaultValue})`),
  );
};

const exampleItem = ([line, effect]: Command['examples'][number]): readonly string[] => [
  '.PP',
  ...(effect === undefined ? [] : [prose(`${effect}:`), '.PP']),
  '.RS 4',
  '.EX',
  escapeRoff(line),
  '.EE',
  '.RE',
];

const statusItems = (meanings: readonly string[]): readonly string[] =>
  meanings.flatMap((meaning, status) => definition(bold(String(status)), meaning));

const flagItem = ({ name, kind, placeholder, help, appliesWithFile }: Flag): readonly string[] => {
  const words = name === 'v' ? `${bold('-v')}, ${bold('--v')}` : bold(`--${name}`);
  const value = kind === 'boolean' ? '' : `=${italic(placeholder)}`;
  return definition(`${words}${value}${appliesWithFile ? ' *' : ''}`, help);
};

const synopsis = (path: string, action: RunnableCommand): string => {
  const options = Object.keys(action.options).length > 0 ? ` [${italic('options')}]` : '';
  const operand = action.operand === undefined ? '' : ` ${escapeRoff(operandUsage(action.operand))}`;
  return `${bold(`kube-ipvs ${path}`)}${operand}${options}`;
};

/** `[path, action]` of each runnable command. */
const actionsOf = (commands: readonly Command[]): readonly (readonly [string, RunnableCommand])[] =>
  commands.flatMap((command) =>
    'commands' in command
      ? command.commands.map((action) => [`${command.name} ${action.name}`, action] as const)
      : [[command.name, command] as const],
  );

const paragraphs = (text: string): readonly string[] =>
  text.split('\n\n').flatMap((paragraph) => ['.PP', prose(paragraph)]);

const actionSection = ([path, action]: readonly [string, RunnableCommand]): readonly string[] => {
  const { summary, description, requirements, operand, options, examples, exitStatuses } = action;
  return [
    subsection(`kube-ipvs ${path}`),
    synopsis(path, action),
    ...paragraphs(summary),
    ...(description === undefined ? [] : paragraphs(description)),
    ...(requirements === undefined ? [] : paragraphs(requirements)),
    ...(operand === undefined ? [] : definition(italic(operand.name), operand.summary)),
    ...Object.entries(options).flatMap(optionItem),
    ...examples.flatMap(exampleItem),
    '.PP',
    'Exit status:',
    ...statusItems(exitStatuses),
  ];
};

const definitions = (entries: readonly (readonly [string, string])[]): readonly string[] =>
  entries.flatMap(([name, text]) => definition(bold(name), text));

/** The man page kube-ipvs(8) in roff, with everything in --help. `date`: for example 2026-11-23. */
export const manPage = (
  commands: readonly Command[],
  { version, date }: { readonly version: string; readonly date: string },
): string => {
  const { summary, about, examples, exitStatuses, daemonStatuses, flagNotes, files, environment } =
    programDescription;
  const actions = actionsOf(commands);
  return [
    `.TH KUBE\\-IPVS 8 "${date}" "kube\\-ipvs ${escapeRoff(version)}" "System Administration"`,
    section('Name'),
    prose(`kube-ipvs - ${summary}`),
    section('Synopsis'),
    `${bold('kube-ipvs')} [${bold('run')}] [${italic('flags')}]`,
    ...actions.flatMap(([path, action]) => ['.br', synopsis(path, action)]),
    section('Description'),
    prose(about),
    section('Flags of the daemon'),
    prose(flagNotes),
    ...flagGroups.flatMap((group) => [
      subsection(group),
      ...flagTable.filter((flag) => flag.group === group).flatMap(flagItem),
    ]),
    section('Commands'),
    ...actions.flatMap(actionSection),
    section('Examples'),
    ...examples.flatMap(exampleItem).slice(1),
    section('Exit status'),
    ...statusItems(exitStatuses),
    ...paragraphs(daemonStatuses),
    ...paragraphs('Some commands define further statuses: see the command.'),
    section('Files'),
    ...definitions(files),
    section('Environment'),
    ...definitions(environment),
    section('See also'),
    ['kube-proxy', 'ipvsadm', 'nft', 'ip'].map((name) => `${bold(name)}(8)`).join(', '),
    '',
  ].join('\n');
};
