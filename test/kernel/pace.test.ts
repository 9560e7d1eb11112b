import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { PaceResponse } from '../../src/admin-api/real-server-state.js';
import { eventually } from '../support/daemon-process.js';
import { DrainLab, minute, pod, second, vip, web } from '../support/drain-lab.js';
import { runLine, savedTable } from '../support/lab-guest.js';
import { elapse } from '../support/virtual-clock.js';

// The share of connections of a new endpoint, and of one that drops packets, in virtual time.

const lab = new DrainLab([], 3);

before(() => lab.up());
afterEach(() => lab.clear());
after(() => lab.down());

const program = (pods: readonly number[], annotations: Readonly<Record<string, string>>): void =>
  lab.program(web(pods, { annotations }));

const line = (number: number, weight: number): string =>
  `-a -t ${vip}:80 -r ${pod(number)}:8080 -m -w ${weight}`;

const hasWeight = (number: number, weight: number): Promise<void> => lab.holds(line(number, weight));

const logs = (line: RegExp): Promise<void> => eventually(() => assert.match(lab.daemon.log, line));

/** The weight is reached at some time within the next minutes. */
const reachesWeight = async (number: number, weight: number): Promise<void> => {
  for (let waited = 0; waited < 3 * minute; waited += second) {
    if (savedTable('node').includes(line(number, weight))) return;
    await elapse(second);
  }
  await hasWeight(number, weight);
};

const paceOf = async (number: number): Promise<PaceResponse | undefined> => {
  const { virtualServers } = await lab.admin.virtualServers();
  return virtualServers[`TCP ${vip}:80`]?.realServers[`${pod(number)}:8080`]?.pace;
};

/** The share of new connections that the pod gets. */
const shareOf = (number: number, connections: number): number => {
  const answers = lab.network.ask('client', 'tcp', vip, 80, connections);
  assert.deepEqual(
    answers.filter((answer) => !/^pod\d$/.test(answer)),
    [],
  );
  return answers.filter((answer) => answer === `pod${number}`).length / connections;
};

const isNear = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) < 0.03, `${actual} is not about ${expected}\n${lab.daemon.log}`);

/** The pod gets packets and sends nothing. */
const blackHole = (number: number): string => runLine(`ip -n pod${number} route replace blackhole default`);
const restore = (number: number): string =>
  runLine(`ip -n pod${number} route replace default via 10.244.0.1`);

test('the share of a new endpoint grows to that of the others, also over a restart', async () => {
  const annotations = { 'ipvs.kube-ipvs.dev/slow-start': '120s' };
  program([1, 2], annotations);
  await hasWeight(1, 10);
  await hasWeight(2, 10);
  isNear(shareOf(1, 100), 1 / 2);
  program([1, 2, 3], annotations);
  await hasWeight(3, 1);
  isNear(shareOf(3, 210), 1 / 21);
  const pace = await paceOf(3);
  assert.equal(pace?.kind, 'climbing');
  await reachesWeight(3, 4);
  isNear(shareOf(3, 240), 4 / 24);
  await lab.stop();
  lab.start();
  await eventually(async () => assert.equal((await paceOf(3))?.percent, 40), minute);
  await hasWeight(3, 4);
  await reachesWeight(3, 5);
  await reachesWeight(3, 10);
  isNear(shareOf(3, 300), 1 / 3);
  assert.equal(await paceOf(3), undefined);
});

test('an endpoint that drops packets gets no connections until it is tried again, and then its share', async () => {
  const annotations = { 'ipvs.kube-ipvs.dev/quarantine': '60s' };
  program([1, 2, 3], annotations);
  await hasWeight(3, 1);
  // The first check of the counters.
  await elapse(4 * second);
  blackHole(3);
  const lost = lab.network.ask('client', 'tcp', vip, 80, 30).filter((answer) => !/^pod\d$/.test(answer));
  console.log(`${lost.length} of 30 requests without an answer`);
  assert.ok(lost.length > 0);
  await hasWeight(3, 0);
  await logs(/"event":"real-server-quarantined"/);
  await logs(/"reason":"EndpointQuarantined"/);
  assert.equal((await paceOf(3))?.kind, 'quarantined');
  assert.equal(shareOf(3, 30), 0);
  await eventually(() => assert.match(lab.rules(), /comment "quarantined since [\d.]+ s after boot"/));
  await lab.stop();
  lab.start();
  await eventually(async () => assert.equal((await paceOf(3))?.kind, 'quarantined'));
  assert.ok(savedTable('node').includes(line(3, 0)), lab.daemon.log);
  restore(3);
  await reachesWeight(3, 1);
  await logs(/"event":"quarantine-ended"/);
  await eventually(() => assert.doesNotMatch(lab.rules(), /quarantined since/));
  isNear(shareOf(3, 30), 1 / 3);
  await elapse(20 * second);
  await hasWeight(3, 1);
});

test('a client with session affinity moves on from a quarantined endpoint', async () => {
  const annotations = { 'ipvs.kube-ipvs.dev/quarantine': '60s' };
  lab.program(web([1, 2], { annotations, sessionAffinity: 'ClientIP' }));
  await hasWeight(1, 1);
  await hasWeight(2, 1);
  const [mine] = lab.network.ask('client', 'tcp', vip, 80, 1);
  const [other] = lab.network.ask('node', 'tcp', vip, 80, 1);
  assert.deepEqual(new Set([mine, other]), new Set(['pod1', 'pod2']));
  const number = Number(mine?.slice(-1));
  await elapse(4 * second);
  blackHole(number);
  for (let round = 0; round < 4; round += 1) {
    lab.network.ask('client', 'tcp', vip, 80, 1);
    lab.network.ask('node', 'tcp', vip, 80, 1);
  }
  await hasWeight(number, 0);
  assert.deepEqual(lab.network.ask('client', 'tcp', vip, 80, 2), [other, other]);
  restore(number);
});

test('the only endpoint keeps its weight', async () => {
  program([3], { 'ipvs.kube-ipvs.dev/quarantine': '60s' });
  await hasWeight(3, 1);
  await elapse(4 * second);
  blackHole(3);
  assert.equal(new Set(lab.network.ask('client', 'tcp', vip, 80, 5)).has('pod3'), false);
  await hasWeight(3, 1);
  restore(3);
});
