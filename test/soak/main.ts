// Makes the network in the lab and runs test/soak/run.ts in its node, or test/soak/cluster-run.ts after `--cluster`, with the same
// arguments.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { run } from '../support/lab-guest.js';

const isCluster = process.argv[2] === '--cluster';
const program = fileURLToPath(new URL(isCluster ? './cluster-run.js' : './run.js', import.meta.url));

run('scripts/kernel-lab/network', 'up', '--pods', '3');
// A guest as small as this one has room for 8,192 flows, which stay for two minutes each. The limit is the whole kernel's.
writeFileSync('/proc/sys/net/netfilter/nf_conntrack_max', '262144');
const command = [
  'netns',
  'exec',
  'node',
  process.execPath,
  ...process.execArgv,
  program,
  ...process.argv.slice(isCluster ? 3 : 2),
];
const { status } = spawnSync('ip', command, { stdio: 'inherit' });
run('scripts/kernel-lab/network', 'down');
process.exit(status ?? 1);
