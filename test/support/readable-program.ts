import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * This Node and the bundled program, mounted where every user can read them: a checkout or a Node below /root is for root
 * only. The mounts last as long as the guest.
 */
export const readableProgram = (): readonly [node: string, main: string] => {
  const folder = mkdtempSync(join(tmpdir(), 'kube-ipvs-readable-'));
  chmodSync(folder, 0o755);
  const node = join(folder, 'node');
  const checkout = join(folder, 'checkout');
  writeFileSync(node, '');
  mkdirSync(checkout);
  execFileSync('mount', ['--bind', process.execPath, node]);
  execFileSync('mount', ['--bind', root, checkout]);
  return [node, join(checkout, 'dist/kube-ipvs.js')];
};
