// lab: -K time-travel
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { realServerText, weightsOf } from '../soak/kernel-table.js';
import { sampleNode, sampleService, sampleSlice } from '../support/api-samples.js';
import { ApiServer } from '../support/api-server.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';

// With a minSyncPeriod of half a minute: what takes an endpoint away is in the kernel at once, what brings one waits. In virtual
// time.

const virtualTime = fileURLToPath(new URL('../support/virtual-time.js', import.meta.url));
const minSyncPeriod = 30_000;
const pods = (numbers: readonly number[]): readonly string[] => numbers.map((number) => `10.244.0.${number}`);

const weightOf = (pod: number): number =>
  weightsOf(realServerText(`10.244.0.${pod}`, 8080)).get(realServerText('10.96.0.10', 80)) ?? 0;

/** Milliseconds until the pod has this weight. */
const untilWeight = async (pod: number, weight: number): Promise<number> => {
  const began = performance.now();
  await eventually(() => assert.equal(weightOf(pod), weight), 2 * minSyncPeriod);
  return performance.now() - began;
};

test('endpoints that go, become unready or terminating do not wait for minSyncPeriod; one that comes does', async () => {
  await using server = await ApiServer.start();
  server.put(sampleService('web'), sampleSlice('web', pods([1, 2, 3, 4])), sampleNode('n1', 'a'));
  const flags = [`--ipvs-min-sync-period=${minSyncPeriod / 1_000}s`, '--ipvs-sync-period=10m'];
  await using daemon = new DaemonProcess([`--master=${server.url}`, '--hostname-override=n1', ...flags], {
    nodeArguments: ['--import', virtualTime],
  });
  await untilWeight(4, 1);
  server.put(sampleSlice('web', pods([1, 2, 3])));
  const gone = await untilWeight(4, 0);
  const states = (conditions: object) => {
    const slice = sampleSlice('web', pods([1, 2, 3]));
    const [first, second, third] = slice['endpoints'] as readonly object[];
    return { ...slice, endpoints: [first, second, { ...third, conditions }] };
  };
  server.put(states({ ready: false, serving: false, terminating: false }));
  const unready = await untilWeight(3, 0);
  server.put(states({ ready: true, serving: true, terminating: false }));
  const ready = await untilWeight(3, 1);
  server.put(states({ ready: false, serving: true, terminating: true }));
  const terminating = await untilWeight(3, 0);
  server.put(sampleSlice('web', pods([1, 2, 5])));
  // It takes nothing any more, and so it waits with the one that comes.
  const added = await untilWeight(5, 1);
  console.log(JSON.stringify({ gone, unready, ready, terminating, added }));
  for (const took of [gone, unready, terminating]) assert.ok(took < minSyncPeriod / 3, daemon.log);
  for (const took of [ready, added]) assert.ok(took > minSyncPeriod / 2, daemon.log);
  assert.equal(await daemon.stop(), 0, daemon.log);
});
