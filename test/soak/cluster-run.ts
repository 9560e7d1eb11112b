// Runs in the namespace `node` of scripts/kernel-lab/network with three pods: requests to a dual-stack Service all the time, while what
// befalls a cluster befalls it, one kind after the other; see `scripts/soak --help`. Prints a ClusterReport, as text or as JSON. Ends
// with status 1 where anything speaks against kube-ipvs.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { eventually } from '../support/daemon-process.js';
import { Random } from '../support/random.js';
import { ClusterDisturbances } from './cluster-disturbances.js';
import {
  avoidableIn,
  clusterReportText,
  kindReports,
  type ClusterReport,
  type Lap,
} from './cluster-report.js';
import { ClusterTraffic } from './cluster-traffic.js';
import { ClusterWorld } from './cluster-world.js';
import { Daemons } from './daemons.js';
import { assertAsRendered } from './end-state.js';
import { WebPod } from './web-pods.js';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    /** Only these kinds, separated by semicolons. */
    kinds: { type: 'string', default: '' },
    /** The longest that the kernel may take to follow a change, and the API server's return. */
    'follow-within': { type: 'string', default: '5' },
    output: { type: 'string', default: 'text' },
  },
});

const say = (text: string): void => void process.stderr.write(`${new Date().toISOString()} ${text}\n`);

/** Each kind once, in random order, again and again. */
function* inTurn(kinds: readonly string[], random: Random): Generator<string> {
  for (;;) {
    const ordered = kinds.map((kind) => ({ kind, rank: random.next() })).toSorted((a, b) => a.rank - b.rank);
    for (const { kind } of ordered) yield kind;
  }
}

const began = performance.now();
const random = new Random(Number(values.seed));
say(`seed ${values.seed}`);
await using world = await ClusterWorld.start(random);
const pods: WebPod[] = [];
for (const number of [1, 2, 3]) pods.push(await WebPod.start(number));
const daemons = new Daemons(world, random, { minSyncPeriod: '1s' });
const disturbances = new ClusterDisturbances(world, daemons, pods, random);
disturbances.configure();
await disturbances.start();
const traffic = await ClusterTraffic.start();
const churn = setInterval(() => world.change(), 250);

const laps: Lap[] = [];
const troubles: string[] = [];

const lap = async (kind: string, act: () => Promise<void>): Promise<void> => {
  await traffic.lap();
  disturbances.excuses = [];
  disturbances.reactions = [];
  try {
    await act();
  } catch (error) {
    troubles.push(`${kind}: ${(error as Error).message.slice(0, 2_000)}`);
  }
  // What it did to requests shows with the next ones.
  await sleep(1_000);
  const { excuses, reactions } = disturbances;
  const done = { kind, paths: await traffic.lap(), excuses, reactions };
  laps.push(done);
  troubles.push(...avoidableIn(done));
  const slow = reactions.filter((milliseconds) => milliseconds > 1_000 * Number(values['follow-within']));
  for (const milliseconds of slow)
    troubles.push(`${kind}: the kernel followed after ${Math.round(milliseconds)} ms`);
  say(`${kind}: ${JSON.stringify(kindReports([done])[0])}`);
};

const wanted = new Set(values.kinds.split(';'));
const kinds = Object.entries(disturbances.kinds).filter(([kind]) => values.kinds === '' || wanted.has(kind));
const acts = new Map(kinds);
const started = performance.now();
let count = 0;
for (const kind of inTurn([...acts.keys()], random)) {
  // Every kind once at least.
  if (count >= acts.size && performance.now() - started > 1_000 * Number(values.seconds)) break;
  count += 1;
  await lap(kind, acts.get(kind) ?? (() => Promise.resolve()));
}
clearInterval(churn);
await lap('nothing, at the end', async () => {
  await daemons.synced();
  await eventually(() => assertAsRendered(world.objects, disturbances.scheduler, []));
});
traffic.end();
await daemons[Symbol.asyncDispose]();
troubles.push(...daemons.errors.map((line) => `log: ${line.slice(0, 500)}`));
for (const pod of pods) await pod[Symbol.asyncDispose]();
const report: ClusterReport = {
  seed: random.seed,
  seconds: (performance.now() - began) / 1_000,
  kinds: kindReports(laps),
  troubles,
};
process.stdout.write(values.output === 'json' ? `${JSON.stringify(report)}\n` : clusterReportText(report));
process.exit(troubles.length === 0 ? 0 : 1);
