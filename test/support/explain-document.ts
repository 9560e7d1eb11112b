import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { sectionTitles, type SectionId } from '../../src/cli/explain/facts.js';
import { reportChecks } from '../../src/cli/explain/service-report.js';

// The tables of docs/explain.md are generated from the code: node build/test/support/explain-document.js writes them.

const file = fileURLToPath(new URL('../../../docs/explain.md', import.meta.url));

const table = (): string =>
  [
    '| section | id | looks at |',
    '|---|---|---|',
    ...(Object.keys(sectionTitles) as SectionId[]).flatMap((section) =>
      reportChecks[section].map(({ id, title }) => `| \`${section}\` | \`${id}\` | ${title} |`),
    ),
  ].join('\n');

/** The page as it is, and as the code says it should be. */
export const explainDocument = (): { readonly present: string; readonly wanted: string } => {
  const present = readFileSync(file, 'utf8');
  const wanted = present.replace(
    /(<!-- checks -->\n)[^]*?(<!-- end -->)/,
    (_, begin: string, end: string) => `${begin}\n${table()}\n\n${end}`,
  );
  return { present, wanted };
};

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(file, explainDocument().wanted);
