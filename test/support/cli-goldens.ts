import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { migrationGolden } from './migration-golden.js';
import { commands } from '../../src/cli/commands/registry.js';
import { runProgramSync } from './program-thread.js';
import { withStableVersions } from './stand-ins.js';

// What commands print that need no kernel, in every format, is test/fixtures/cli: node build/test/support/cli-goldens.js writes
// it anew. What they print on a node is test/fixtures/cli/on-a-node.md, which scripts/tour --write writes.

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const folder = fileURLToPath(new URL('../../../test/fixtures/cli/', import.meta.url));

const node = '--hostname-override=node-1 --node-addresses=10.0.0.5/24,fd00::5/64';
const config = 'test/fixtures/config/kubeadm-config.conf';

/** A file for each, with the words of the command lines whose output it holds. */
const lines: Readonly<Record<string, readonly string[]>> = {
  help: ['--help', 'run --help'],
  ...Object.fromEntries(
    commands.map(({ name, ...command }) => [
      `help-${name}`,
      [
        `${name} --help`,
        ...('commands' in command ? command.commands.map((action) => `${name} ${action.name} --help`) : []),
      ],
    ]),
  ),
  version: ['version', 'version -o json', '--version'],
  render: ['json', 'ipvsadm', 'plan'].map((output) => `render ${node} -f examples -o ${output}`),
  'config-defaults': ['config defaults', 'config defaults -o json'],
  'config-print': [
    'config print --ipvs-scheduler=lc --hostname-override=node-1',
    'config print --ipvs-scheduler=lc --hostname-override=node-1 -o json',
  ],
  'config-validate': [`config validate ${config}`, 'config validate test/fixtures/cli/wrong.conf'],
  'completion-bash': ['completion bash'],
  'completion-zsh': ['completion zsh'],
  'completion-fish': ['completion fish'],
  man: ['man'],
  doctor: ['table', 'json', 'yaml'].map(
    (output) =>
      `doctor --config=test/fixtures/cli/wrong-field.conf --source=examples --only=configuration -o ${output}`,
  ),
  'wrong-calls': [
    'dupm',
    'dump --outptu=json',
    'dump -o jsn',
    'render',
    'doctor --only=conntrac',
    'run --proxy-mode=iptables',
    'log --since=yesterday',
    'log --follow --until=1h',
    'log --service=web',
    'log --service=10.96.0.1',
    'log --admin-socket=/nonexistent/admin.sock',
  ],
};

const versions = { node: process.version, kernel: release() };

/** `$ kube-ipvs …`, what it prints, and how it ends unless well. */
const session = (line: string): string => {
  const { status, stdout, stderr } = runProgramSync(main, line.split(' '), {
    environment: { PATH: process.env['PATH'], HOME: '/root' },
  });
  const parts = [
    `$ kube-ipvs ${line}\n`,
    stdout,
    stderr,
    ...(status === 0 ? [] : [`(exit status ${status})\n`]),
  ];
  return withStableVersions(parts.join(''), versions);
};

/** The files by name, as they are to be. */
export const wantedGoldens = (): ReadonlyMap<string, string> =>
  new Map([
    ...Object.entries(lines).map(([name, list]) => [`${name}.txt`, list.map(session).join('\n')] as const),
    ['migrate.txt', migrationGolden()],
  ]);

export const presentGolden = (name: string): string => readFileSync(`${folder}${name}`, 'utf8');

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of wantedGoldens()) writeFileSync(`${folder}${name}`, text);
}
