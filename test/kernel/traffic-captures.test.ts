import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  captureNames,
  runCapture,
  runHealthCheckElsewhere,
  type CapturedFinding,
} from '../traffic/captures.js';
import { TwoNodeNetwork } from '../traffic/network.js';

// Packets meet under kube-ipvs what they met under the real kube-proxy (test/fixtures/traffic), but for the differences that
// test/traffic/matrix.yaml lists.

let network: TwoNodeNetwork;
before(async () => {
  network = await TwoNodeNetwork.up([]);
});
after(() => network[Symbol.asyncDispose]());

test('every case is here', () => assert.equal(captureNames.length, 8));

const assertFound = (findings: readonly CapturedFinding[]): void => {
  assert.ok(findings.length > 0);
  assert.deepEqual(
    findings.map(({ request, seen }) => [request, ...seen]),
    findings.map(({ request, expected }) => [request, ...expected]),
  );
};

for (const name of captureNames)
  test(`${name}: who answers and which source address it sees`, async () =>
    assertFound(await runCapture(network, name)));

test('the health check of a Service without an endpoint on the node: 503 for everybody', async () =>
  assertFound(await runHealthCheckElsewhere(network)));
