import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  addressTransitions,
  elementTransitions,
  virtualServerTransitions,
  type TransitionTable,
} from './transition-tables.js';

// The transition tables in docs/engine.md are those of the code: node build/test/support/engine-document.js writes them.

const file = fileURLToPath(new URL('../../../docs/engine.md', import.meta.url));

const markdown = ({ statuses, rows }: TransitionTable): string => {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(['event', ...statuses]),
    line(['---', ...statuses.map(() => '---')]),
    ...rows.map(({ event, next }) =>
      line([event, ...next.map((status, index) => (status === statuses[index] ? '·' : status))]),
    ),
  ].join('\n');
};

const tables: Readonly<Record<string, () => TransitionTable>> = {
  'virtual servers': virtualServerTransitions,
  addresses: addressTransitions,
  elements: elementTransitions,
};

/** docs/engine.md as it is, and as it should be. */
export const engineDocument = (): { readonly present: string; readonly expected: string } => {
  const present = readFileSync(file, 'utf8');
  const expected = Object.entries(tables).reduce(
    (text, [name, table]) =>
      text.replace(
        new RegExp(`(<!-- transitions: ${name} -->\n)[^]*?(<!-- end -->)`),
        (_, start: string, end: string) => `${start}\n${markdown(table())}\n\n${end}`,
      ),
    present,
  );
  return { present, expected };
};

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(file, engineDocument().expected);
