import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TakeOver } from '../../../src/apply/ownership/take-over.js';
import type { Family } from '../../../src/base/ip.js';
import type { ElementOperation, Outcome } from '../../../src/model/operation.js';
import { failed } from '../../support/faulty-kernel.js';
import { ip } from '../../support/objects.js';

type State = 'none' | 'taking-over' | 'ours';

const setUp = (states: Readonly<Record<Family, State>>, vips: readonly string[]) => {
  const asked: string[] = [];
  const fault: { errno: string | undefined } = { errno: undefined };
  const troubled = new Set<Family>();
  const takeOver = new TakeOver({
    packetRules: {
      hasFailed: (family) => troubled.has(family),
      state: async (family) => states[family],
      apply: async (operations: readonly ElementOperation[]): Promise<readonly Outcome[]> =>
        operations.map(({ kind, element }) => {
          asked.push(`${kind} ${element.key}`);
          return fault.errno === undefined ? { status: 'applied' } : failed(fault.errno);
        }),
    },
    boundVips: async () => ({ address: vips.map(ip), route: [] }),
  });
  return { takeOver, asked, fault, troubled };
};

const underWay = async (states: Readonly<Record<Family, State>>, ...vips: readonly string[]) => {
  const { takeOver } = setUp(states, vips);
  await takeOver.detect();
  return (['IPv4', 'IPv6'] as const).filter((family) => takeOver.isInProgress(family));
};

test('a take-over starts if VIPs exist without a kube-ipvs table or a table has a take-over marker', async () => {
  assert.deepEqual(await underWay({ IPv4: 'none', IPv6: 'none' }, '10.96.0.1', 'fd00::1'), ['IPv4', 'IPv6']);
  assert.deepEqual(await underWay({ IPv4: 'none', IPv6: 'none' }, '10.96.0.1'), ['IPv4']);
  assert.deepEqual(await underWay({ IPv4: 'none', IPv6: 'none' }), []);
  assert.deepEqual(await underWay({ IPv4: 'ours', IPv6: 'ours' }, '10.96.0.1', 'fd00::1'), []);
  assert.deepEqual(await underWay({ IPv4: 'taking-over', IPv6: 'ours' }, '10.96.0.1', 'fd00::1'), ['IPv4']);
  assert.deepEqual(await underWay({ IPv4: 'taking-over', IPv6: 'none' }), ['IPv4']);
});

test('at its end the take-over markers are deleted; if the kernel refuses, the next sync retries', async () => {
  const { takeOver, asked, fault } = setUp({ IPv4: 'none', IPv6: 'none' }, ['10.96.0.1']);
  await takeOver.detect();
  assert.deepEqual(
    takeOver.markers('IPv4').map(({ key }) => key),
    ['IPv4 take-over TCP', 'IPv4 take-over UDP', 'IPv4 take-over SCTP'],
  );
  assert.deepEqual(takeOver.markers('IPv6'), []);
  fault.errno = 'ENOMEM';
  await takeOver.end();
  assert.equal(takeOver.isInProgress('IPv4'), false);
  fault.errno = undefined;
  await takeOver.end();
  await takeOver.end();
  const deletions = ['TCP', 'UDP', 'SCTP'].map((protocol) => `delete-element IPv4 take-over ${protocol}`);
  assert.deepEqual(asked, [...deletions, ...deletions]);
});

test('the take-over markers of a failed family are deleted after it recovers', async () => {
  const { takeOver, asked, troubled } = setUp({ IPv4: 'taking-over', IPv6: 'ours' }, []);
  await takeOver.detect();
  troubled.add('IPv4');
  await takeOver.end();
  assert.deepEqual([asked, takeOver.isInProgress('IPv4')], [[], false]);
  troubled.clear();
  await takeOver.end();
  assert.equal(asked.length, 3);
});
