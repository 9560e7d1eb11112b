import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// README.md shows some commands of docs/tour.md. Their output is copied from there:
// node build/test/support/tour-excerpt.js writes it.

const read = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../${name}`, import.meta.url)), 'utf8');

const command = /^ {4}(?:client)?\$ /;
const excerpt = /(?<=<!-- excerpt of docs\/tour\.md[^>]*-->\n\n)[^]*?(?=\n<!-- end of the excerpt -->)/;

/** The first block of a command in a tour: the command and the indented lines of its output. */
const blockOf = (tour: readonly string[], line: string): readonly string[] => {
  const start = tour.indexOf(line);
  if (start === -1) throw new Error(`docs/tour.md has no command "${line.trim()}"`);
  const isOutput = (next: string): boolean => next === '' || (next.startsWith('    ') && !command.test(next));
  const length = tour.slice(start + 1).findIndex((next) => !isOutput(next));
  return tour
    .slice(start, start + 1 + length)
    .join('\n')
    .trimEnd()
    .split('\n');
};

/** README.md as it is, and with the output that docs/tour.md has. */
export const readmeWithExcerpt = (): { readonly present: string; readonly wanted: string } => {
  const present = read('README.md');
  const tour = read('docs/tour.md').split('\n');
  const wanted = present.replace(excerpt, (shown) => {
    const commands = shown.split('\n').filter((line) => command.test(line));
    return `${commands.flatMap((line) => blockOf(tour, line)).join('\n')}\n`;
  });
  return { present, wanted };
};

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(fileURLToPath(new URL('../../../README.md', import.meta.url)), readmeWithExcerpt().wanted);
