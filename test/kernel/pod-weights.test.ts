import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { samplePod, sampleNode, sampleService, sampleSlice } from '../support/api-samples.js';
import type { ApiObject } from '../support/api-objects.js';
import { ApiServer } from '../support/api-server.js';
import { DaemonProcess, eventually } from '../support/daemon-process.js';
import { kubeconfigFor } from '../support/kubeconfig.js';
import { savedTable } from '../support/lab-guest.js';
import { mutationsIn, traceDaemons } from '../support/netlink-trace.js';
import { elapse } from '../support/virtual-clock.js';

// Weights of pods that the daemon follows at an API server, and the messages to the kernel that they cost.

traceDaemons();

const scratch = mkdtempSync(join(tmpdir(), 'pod-weights-'));

const web: readonly ApiObject[] = [
  {
    ...sampleService('web'),
    metadata: { name: 'web', annotations: { 'ipvs.kube-ipvs.dev/weight-by': 'pod' } },
  },
  {
    ...sampleSlice('web', []),
    endpoints: ['10.244.0.11', '10.244.0.12'].map((address, index) => ({
      addresses: [address],
      conditions: { ready: true },
      targetRef: { kind: 'Pod', name: `web-${index}` },
    })),
  },
];

const start = (server: ApiServer): DaemonProcess => {
  const path = join(scratch, 'kubeconfig');
  writeFileSync(path, kubeconfigFor(server.url));
  return new DaemonProcess([`--kubeconfig=${path}`, '--hostname-override=n1']);
};

const holds = (daemon: DaemonProcess, scheduler: string, ...weights: readonly number[]): Promise<void> =>
  eventually(() =>
    assert.deepEqual(
      savedTable(),
      [
        `-A -t 10.96.0.10:80 -s ${scheduler}`,
        ...weights.map(
          (weight, index) => `-a -t 10.96.0.10:80 -r 10.244.0.1${index + 1}:8080 -m -w ${weight}`,
        ),
      ],
      daemon.log,
    ),
  );

const weightChanges = (daemon: DaemonProcess): readonly string[] =>
  mutationsIn(daemon.log).filter((message) => /setDest|setService/i.test(message));

test('a changed annotation is one message, and a restart changes no weight', async () => {
  await using server = await ApiServer.start();
  server.put(
    sampleNode('n1', ''),
    ...web,
    samplePod('web-0', { weight: '30' }),
    samplePod('web-1', { weight: '10' }),
  );
  const first = start(server);
  await holds(first, 'wrr', 30, 10);
  assert.deepEqual(weightChanges(first), []);
  const before = mutationsIn(first.log).length;
  server.put(samplePod('web-1', { weight: '20' }));
  await holds(first, 'wrr', 30, 20);
  await elapse(60_000);
  assert.equal(mutationsIn(first.log).length - before, 1, mutationsIn(first.log).slice(before).join('\n'));
  assert.equal(await first.stop(), 0);
  await using second = start(server);
  // A sync that changes nothing logs nothing.
  await eventually(() => assert.match(second.log, /"resource-followed","resource":"pods\/default"/));
  await elapse(60_000);
  await holds(second, 'wrr', 30, 20);
  assert.deepEqual(weightChanges(second), []);
  assert.equal(await second.stop(), 0);
});
