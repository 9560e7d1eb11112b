import { flagGroups, type Flag } from '../config/flag.js';
import { flagTable } from '../config/flag-table.js';
import { longName, type Action, type Command, type OptionDefinition } from './command.js';
import { operandWords, wrap } from './command-text.js';
import { programText } from './program-text.js';

// In roff a backslash, and a dot or quote that begins a line, mean something; a bare hyphen or quote is printed as another
// letter, so that a copied command would not work.

const names: Readonly<Record<string, string>> = {
  '\\': '\\e',
  '-': '\\-',
  "'": '\\(aq',
  '"': '\\(dq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
};

const escape = (text: string): string =>
  text
    .replaceAll(/[\\\-'"`^~]/g, (letter) => names[letter] ?? letter)
    .replaceAll(
      /[^\0-\u007f]/gu,
      (letter) => `\\[u${letter.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`,
    )
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace(/^\./, '\\&.');

/** Prose: short lines, which roff fills anew. */
const prose = (text: string): string => wrap(escape(text), 79, '').replaceAll(/^\./gm, '\\&.');
const bold = (text: string): string => `\\fB${escape(text)}\\fR`;
const italic = (text: string): string => `\\fI${escape(text)}\\fR`;
const section = (title: string): string => `.SH ${escape(title.toUpperCase())}`;
const subsection = (title: string): string => `.SS ${escape(title)}`;
/** A term, and what it is. */
const item = (term: string, text: string): readonly string[] => ['.TP', term, prose(text)];

const optionItem = ([name, option]: readonly [string, OptionDefinition<unknown>]): readonly string[] => {
  const { short, summary, placeholder, isValueOptional, choices, standard } = option;
  const words = [...(short === undefined ? [] : [bold(`-${short}`)]), bold(longName(name))].join(', ');
  const given = `=${italic(placeholder ?? '')}`;
  const value = placeholder === undefined ? '' : isValueOptional === true ? `[${given}]` : given;
  const may = choices === undefined ? '' : `: ${choices.join(', ')}`;
  return item(words + value, summary + may + (standard === undefined ? '' : ` (default ${standard})`));
};

const exampleItem = ([line, effect]: Command['examples'][number]): readonly string[] => [
  '.PP',
  ...(effect === undefined ? [] : [prose(`${effect}:`), '.PP']),
  '.RS 4',
  '.EX',
  escape(line),
  '.EE',
  '.RE',
];

const statusItems = (meanings: readonly string[]): readonly string[] =>
  meanings.flatMap((meaning, status) => item(bold(String(status)), meaning));

const flagItem = ({ name, kind, placeholder, help, besideFile }: Flag): readonly string[] => {
  const words = name === 'v' ? `${bold('-v')}, ${bold('--v')}` : bold(`--${name}`);
  const value = kind === 'boolean' ? '' : `=${italic(placeholder)}`;
  return item(`${words}${value}${besideFile ? ' *' : ''}`, help);
};

const synopsis = (path: string, action: Action): string => {
  const options = Object.keys(action.options).length > 0 ? ` [${italic('options')}]` : '';
  const operand = action.operand === undefined ? '' : ` ${escape(operandWords(action.operand))}`;
  return `${bold(`kube-ipvs ${path}`)}${operand}${options}`;
};

/** `[path, action]` of each thing that can be done. */
const actionsOf = (commands: readonly Command[]): readonly (readonly [string, Action])[] =>
  commands.flatMap((command) =>
    'commands' in command
      ? command.commands.map((action) => [`${command.name} ${action.name}`, action] as const)
      : [[command.name, command] as const],
  );

const paragraphs = (text: string): readonly string[] =>
  text.split('\n\n').flatMap((paragraph) => ['.PP', prose(paragraph)]);

const actionPart = ([path, action]: readonly [string, Action]): readonly string[] => {
  const { summary, about, needs, operand, options, examples, exitStatuses } = action;
  return [
    subsection(`kube-ipvs ${path}`),
    synopsis(path, action),
    ...paragraphs(summary),
    ...(about === undefined ? [] : paragraphs(about)),
    ...(needs === undefined ? [] : paragraphs(needs)),
    ...(operand === undefined ? [] : item(italic(operand.name), operand.summary)),
    ...Object.entries(options).flatMap(optionItem),
    ...examples.flatMap(exampleItem),
    '.PP',
    'Exit status:',
    ...statusItems(exitStatuses),
  ];
};

const pairs = (entries: readonly (readonly [string, string])[]): readonly string[] =>
  entries.flatMap(([name, text]) => item(bold(name), text));

/** The man page kube-ipvs(8) in roff: all that --help tells of the program and its commands. `date` is as 2026-11-23. */
export const manPage = (
  commands: readonly Command[],
  { version, date }: { readonly version: string; readonly date: string },
): string => {
  const { line, about, examples, exitStatuses, daemonStatuses, flagNotes, files, environment } = programText;
  const actions = actionsOf(commands);
  return [
    `.TH KUBE\\-IPVS 8 "${date}" "kube\\-ipvs ${escape(version)}" "System Administration"`,
    section('Name'),
    prose(`kube-ipvs - ${line}`),
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
    ...actions.flatMap(actionPart),
    section('Examples'),
    ...examples.flatMap(exampleItem).slice(1),
    section('Exit status'),
    ...statusItems(exitStatuses),
    ...paragraphs(daemonStatuses),
    ...paragraphs('What else it means for a command stands with the command.'),
    section('Files'),
    ...pairs(files),
    section('Environment'),
    ...pairs(environment),
    section('See also'),
    ['kube-proxy', 'ipvsadm', 'nft', 'ip'].map((name) => `${bold(name)}(8)`).join(', '),
    '',
  ].join('\n');
};
