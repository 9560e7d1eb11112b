import { flagGroups, type Flag } from '../../config/flag.js';
import { flagTable } from '../../config/flag-table.js';
import type { Command } from '../framework/command.js';
import { examplesText, exitStatusText, wrapText } from '../framework/command-help.js';
import { programDescription } from './program-description.js';

const usage = `Usage: kube-ipvs [run] [flags]               run the daemon
       kube-ipvs COMMAND [TARGET] [options]`;

const textWidth = 120;

const flagWords = ({ name, kind, placeholder, appliesWithFile }: Flag): string => {
  const dashed = name === 'v' ? '-v, --v' : `--${name}`;
  return `  ${appliesWithFile ? '*' : ' '} ${kind === 'boolean' ? dashed : `${dashed}=${placeholder}`}`;
};

const flagText = (flag: Flag): string => {
  const words = flagWords(flag);
  const indent = ' '.repeat(46);
  const gap = words.length < indent.length - 1 ? words.padEnd(indent.length) : `${words}\n${indent}`;
  return `${gap}${wrapText(flag.help, 74, indent)}`;
};

const commandsText = (commands: readonly Command[]): string => {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(
    ({ name, summary }) =>
      `  ${name.padEnd(width)}  ${wrapText(summary, textWidth - width - 4, ' '.repeat(width + 4))}`,
  );
  return `Commands:\n${lines.join('\n')}`;
};

const environmentText = (): string => {
  const { environment } = programDescription;
  const width = Math.max(
    ...environment.map(([names]) => Math.max(...names.split(', ').map((name) => name.length))),
  );
  const indent = ' '.repeat(width + 4);
  const lines = environment.map(([names, meaning]) => {
    const [first = '', ...others] = names.split(', ');
    const text = `  ${first.padEnd(width)}  ${wrapText(meaning, textWidth - width - 4, indent)}`;
    return [text, ...others.map((name) => `  ${name}`)].join('\n');
  });
  return `Environment:\n${lines.join('\n')}`;
};

/** The text of `kube-ipvs --help`: commands, examples, and every flag by group. */
export const daemonHelp = (commands: readonly Command[]): string => {
  const { summary, about, examples, exitStatuses, daemonStatuses, flagNotes } = programDescription;
  const groups = flagGroups.map((group) => {
    const flags = flagTable.filter((flag) => flag.group === group);
    return `\n${group}:\n${flags.map(flagText).join('\n')}\n`;
  });
  const statuses = wrapText(`${exitStatusText(exitStatuses)} ${daemonStatuses}`, textWidth, '');
  const intro = wrapText(`kube-ipvs ${summary}. ${about}`, textWidth, '');
  return `${usage}

${intro}

${commandsText(commands)}

${examplesText(examples)}

${statuses}
${groups.join('')}
${environmentText()}

${wrapText(flagNotes, textWidth, '')}
Help for a command: kube-ipvs help COMMAND. Man page: kube-ipvs man | man -l -
`;
};
