import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { responseTypesSource } from './response-shapes.js';

// The types in docs/admin-api.md are generated from the code: node build/test/support/admin-document.js writes them.

const file = fileURLToPath(new URL('../../../docs/admin-api.md', import.meta.url));

const pageWidth = 100;

/** Breaks the text between words into lines of at most `width` characters. */
const fill = (text: string, width: number): readonly string[] =>
  text.split(' ').reduce<string[]>((lines, word) => {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) return [...lines, word];
    return [...lines.slice(0, -1), `${last} ${word}`];
  }, []);

/** A line of the page; a comment that is too long becomes a comment of several lines. */
const pageLines = (line: string): readonly string[] => {
  const [, indent = '', text] = /^( *)\/\*\* (.*) \*\/$/.exec(line) ?? [];
  if (text === undefined || line.length <= pageWidth) return [line];
  const lines = fill(text, pageWidth - indent.length - 3).map((part) => `${indent} * ${part}`);
  return [`${indent}/**`, ...lines, `${indent} */`];
};

/** The page as it is, and as the code says it should be. */
export const adminDocument = (): { readonly present: string; readonly wanted: string } => {
  const present = readFileSync(file, 'utf8');
  const source = responseTypesSource()
    .replaceAll(/^export /gm, '')
    .replaceAll('readonly ', '')
    .replaceAll(/Readonly<(Record<[^;]*>)>/g, '$1')
    .trim()
    .split('\n')
    .flatMap(pageLines)
    .join('\n');
  const wanted = present.replace(
    /(<!-- responses -->\n)[^]*?(<!-- end -->)/,
    (_, begin: string, end: string) => `${begin}\n\`\`\`ts\n${source}\n\`\`\`\n\n${end}`,
  );
  return { present, wanted };
};

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(file, adminDocument().wanted);
