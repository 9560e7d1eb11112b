// Runs in the namespace `node` of scripts/kernel-lab/network, with as many pods as it is told: requests to a Service all the time
// while the daemon, its cluster and its node change; see `scripts/soak --help`. Prints a report, as text or as JSON (SoakReport);
// progress goes to standard error. Ends with status 1 where anything speaks against kube-ipvs.
import { parseArgs } from 'node:util';
import { Random } from '../support/random.js';
import { isSound, reportText } from './report.js';
import { Soak } from './soak.js';

const { values } = parseArgs({
  options: {
    pods: { type: 'string', default: '3' },
    services: { type: 'string', default: '100' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    seconds: { type: 'string', default: '60' },
    restarts: { type: 'string', default: '0' },
    kills: { type: 'string', default: '0' },
    upgrades: { type: 'string', default: '0' },
    output: { type: 'string', default: 'text' },
    // 1: pods end as soon as they are told to, and nothing else is disturbed.
    abrupt: { type: 'string', default: '0' },
  },
});
const [pods, services, seed, seconds, restarts, kills, upgrades] = (
  ['pods', 'services', 'seed', 'seconds', 'restarts', 'kills', 'upgrades'] as const
).map((name) => Number(values[name]));

const say = (text: string): void => void process.stderr.write(`${new Date().toISOString()} ${text}\n`);
say(`seed ${seed}`);
const soak = await Soak.start({
  pods: pods ?? 3,
  services: services ?? 100,
  random: new Random(seed ?? 0),
  abrupt: values.abrupt === '1',
  say,
});
await soak.check('replaced daemons follow', () =>
  soak.replaceDaemons({ restarts: restarts ?? 0, kills: kills ?? 0, upgrades: upgrades ?? 0 }),
);
if ((seconds ?? 0) > 0) await soak.check('one daemon follows', () => soak.churn(seconds ?? 0));
const report = await soak.end();
process.stdout.write(values.output === 'json' ? `${JSON.stringify(report)}\n` : reportText(report));
process.exit(isSound(report) ? 0 : 1);
