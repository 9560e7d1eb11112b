// Runs in the lab: how long `kube-ipvs dump` takes in each format beside `ipvsadm -Sn` of the same table, all by turns, the
// median of each. Arguments: RUNS SERVICES ENDPOINTS, and `json` or `table`.
import { spawnSync } from 'node:child_process';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { formatColumns } from '../../src/cli/output/columns.js';
import { IpvsClient } from '../../src/kernel/ipvs/client.js';
import type { IpvsOperation } from '../../src/model/operation.js';
import { real, virtual } from '../support/observed-entries.js';
import type { DumpTime, DumpTimes } from './dump-report.js';

const [runs = 3, services = 10_000, endpoints = 3] = process.argv.slice(2, 5).map(Number);
const program = fileURLToPath(new URL('../../../dist/kube-ipvs.js', import.meta.url));

const addressAt = (first: number, index: number): string =>
  `10.${first + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;

const fill = async (): Promise<void> => {
  const operations: IpvsOperation[] = [];
  for (let service = 0; service < services; service += 1) {
    const server = virtual('TCP', addressAt(96, service), 80);
    operations.push({ kind: 'add-virtual-server', server });
    for (let index = service * endpoints; index < (service + 1) * endpoints; index += 1)
      operations.push({
        kind: 'add-real-server',
        of: server.identity,
        server: real(addressAt(128, index), 8080, 0),
      });
  }
  const client = IpvsClient.open();
  const failed = (await client.apply(operations)).filter(({ status }) => status !== 'applied');
  client.close();
  if (failed.length > 0) throw new Error(`${failed.length} operations failed`);
};

const millisecondsOf = (command: string, args: readonly string[]): number => {
  const started = performance.now();
  const { status, stderr } = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${String(stderr)}`);
  return performance.now() - started;
};

const dumpIn = (output: string) => () =>
  millisecondsOf(process.execPath, [program, 'dump', '--admin-socket=', '-o', output]);
const measured: Readonly<Record<string, () => number>> = {
  'ipvsadm -Sn': () => millisecondsOf('ipvsadm', ['-Sn']),
  'kube-ipvs version': () => millisecondsOf(process.execPath, [program, 'version']),
  ...Object.fromEntries(
    ['ipvsadm', 'table', 'wide', 'json', 'yaml', 'name', 'custom-columns=S:server,R:realServer'].map(
      (output) => [`dump -o ${output}`, dumpIn(output)],
    ),
  ),
};

await fill();
const times = new Map<string, number[]>();
for (let run = 1; run <= runs; run += 1) {
  process.stderr.write(`• run ${run} of ${runs}\n`);
  for (const [name, measure] of Object.entries(measured))
    times.set(name, [...(times.get(name) ?? []), measure()]);
}
const medianOf = (name: string): number =>
  times.get(name)?.toSorted((a, b) => a - b)[Math.floor((runs - 1) / 2)] ?? Number.NaN;
const result = Object.keys(measured).map(
  (name): DumpTime => ({
    name,
    milliseconds: Math.round(medianOf(name)),
    ratio: Number((medianOf(name) / medianOf('ipvsadm -Sn')).toFixed(2)),
  }),
);
if (process.argv[5] === 'json')
  process.stdout.write(
    `${JSON.stringify({ kernel: release(), services, endpoints, runs, result } satisfies DumpTimes)}\n`,
  );
else
  process.stdout.write(
    formatColumns(
      [
        { title: `${services} SERVICES OF ${endpoints}`, align: 'left' },
        { title: 'MILLISECONDS', align: 'right' },
        { title: 'OF IPVSADM', align: 'right' },
      ],
      result.map(({ name, milliseconds, ratio }) => [name, String(milliseconds), ratio.toFixed(2)]),
      { titles: true },
    ),
  );
