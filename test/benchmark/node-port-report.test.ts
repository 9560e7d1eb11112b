import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodePortText, type NodePortFill } from './node-port-report.js';

const fill: NodePortFill = {
  virtualServers: 45_000,
  realServers: 45_000,
  elements: 47_500,
  fullSyncSeconds: 10,
  kernelMegabytes: 60,
  residentMegabytes: 200,
  addressSeconds: 4,
  addressMessages: 10_000,
};
const shared = { ...fill, virtualServers: 9_000, addressMessages: 3 };
const runs = [false, true].flatMap((sharing) =>
  [9, 1, 2].map((more) => ({ sharing, kind: 'flow', microseconds: (sharing ? 11 : 8) + more }) as const),
);

test('the table has both settings, their ratio, and the medians of the kinds of traffic that were measured', () => {
  const text = nodePortText({
    kernel: '7.2',
    ports: 5_000,
    addresses: 8,
    rounds: 3,
    fills: [fill, shared],
    runs,
  });
  assert.match(text, /^5000 node ports, 8 addresses; kernel 7\.2; packets: median of 3\n/);
  assert.match(text, / virtual servers +45000 +9000 +0\.20\n/);
  assert.match(text, /first packet of a UDP flow, µs +10\.00 +13\.00 +1\.30\n/);
  assert.doesNotMatch(text, /TCP connection/);
});
