import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Writes test/fixtures/explain anew from what `KUBE_IPVS_SHOW_TEXTS=1 node --test build/test/kernel/explain.test.js` printed in the
// lab: node build/test/support/explain-texts.js OUTPUT. Look at the difference: it is what people will read.

const folder = fileURLToPath(new URL('../../../test/fixtures/explain', import.meta.url));

for (const [, json = ''] of readFileSync(process.argv[2] ?? '', 'utf8').matchAll(
  /^(?:# )?TEXT (\[.*\])\r?$/gm,
)) {
  const [name, text] = JSON.parse(json.replaceAll('\\\\', '\\')) as readonly [string, string];
  writeFileSync(join(folder, `${name}.txt`), text);
}
