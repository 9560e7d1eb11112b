import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { responseTypesSource } from './response-shapes.js';

// The types in docs/admin-api.md are those of the code: node build/test/support/admin-document.js writes them.

const file = fileURLToPath(new URL('../../../docs/admin-api.md', import.meta.url));

/** The page as it is, and as the code says it should be. */
export const adminDocument = (): { readonly present: string; readonly wanted: string } => {
  const present = readFileSync(file, 'utf8');
  const source = responseTypesSource()
    .replaceAll(/^export /gm, '')
    .replaceAll('readonly ', '')
    .replaceAll(/Readonly<(Record<[^;]*>)>/g, '$1')
    .trim();
  const wanted = present.replace(
    /(<!-- answers -->\n)[^]*?(<!-- end -->)/,
    (_, begin: string, end: string) => `${begin}\n\`\`\`ts\n${source}\n\`\`\`\n\n${end}`,
  );
  return { present, wanted };
};

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(file, adminDocument().wanted);
