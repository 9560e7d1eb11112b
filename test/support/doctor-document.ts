import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { groups } from '../../src/doctor/check.js';
import { checks } from '../../src/doctor/all-checks.js';

// The tables of docs/doctor.md are generated from the code: node build/test/support/doctor-document.js writes them.

const file = fileURLToPath(new URL('../../../docs/doctor.md', import.meta.url));

const tables = (): string =>
  groups
    .map((group) => {
      const rows = checks
        .filter((check) => check.group === group)
        .map(({ id, title, why }) => `| \`${id}\` | ${title} | ${why} |`);
      return [`## ${group}`, '', '| id | looks at | why |', '|---|---|---|', ...rows].join('\n');
    })
    .join('\n\n');

/** The page as it is, and as the code says it should be. */
export const doctorDocument = (): { readonly present: string; readonly wanted: string } => {
  const present = readFileSync(file, 'utf8');
  const wanted = present.replace(
    /(<!-- checks -->\n)[^]*?(<!-- end -->)/,
    (_, begin: string, end: string) => `${begin}\n${tables()}\n\n${end}`,
  );
  return { present, wanted };
};

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(file, doctorDocument().wanted);
