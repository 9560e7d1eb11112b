import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { capturedHealthCheckPort, captureNames, runCapture } from '../traffic/captures.js';
import { TwoNodeNetwork } from '../traffic/network.js';

// Packets meet under kube-ipvs what they met under the real kube-proxy (test/fixtures/traffic), but for the differences that
// test/traffic/matrix.yaml lists.

let network: TwoNodeNetwork;
before(async () => {
  network = await TwoNodeNetwork.up([capturedHealthCheckPort]);
});
after(() => network[Symbol.asyncDispose]());

test('every case is here', () => assert.equal(captureNames.length, 8));

for (const name of captureNames)
  test(`${name}: who answers and which source address it sees`, async () => {
    const findings = await runCapture(network, name);
    assert.ok(findings.length > 0);
    assert.deepEqual(
      findings.map(({ request, seen }) => [request, ...seen]),
      findings.map(({ request, expected }) => [request, ...expected]),
    );
  });
