import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  inClusterNodes,
  inClusterResultOf,
  inClusterResultText,
  trafficKinds,
  trafficNodes,
  trafficResultOf,
  trafficResultText,
} from './traffic-report.js';

const microseconds = {
  direct: 1,
  untracked: 1.5,
  ipvs: 2,
  nat: 2.1,
  'kube-ipvs': 2.2,
  beside: 1.25,
} as const;
const result = trafficResultOf({
  kernel: '6.1',
  services: 200,
  rounds: 3,
  runs: [0, 9, 0.01].flatMap((more) =>
    trafficKinds.flatMap((kind) =>
      trafficNodes.map((node) => ({ node, kind, microseconds: microseconds[node] + more })),
    ),
  ),
});

test('the ratio of the medians counts, up to the limit and not beyond', () => {
  assert.deepEqual(
    result.rows.map((row) => [row.kind, row.ratio, row.met, row.natRatio]),
    [
      ['packet', 1.1, true, 1.05],
      ['flow', 1.1, true, 1.05],
      ['connection', 1.1, false, 1.05],
    ],
  );
});

test('the table names every node and every aim', () => {
  const text = trafficResultText(result);
  assert.match(text, /microseconds +direct +untracked +ipvs +nat +kube-ipvs +beside +ratio +aim/);
  assert.match(
    text,
    /TCP connection +1\.01 +1\.51 +2\.01 +2\.11 +2\.21 +1\.26 +1\.10 +1\.02 +NOT MET +1\.05/,
  );
});

test('of both settings of inClusterEndpoints the medians and their difference count', () => {
  const inCluster = inClusterResultOf({
    kernel: '6.1',
    services: 200,
    rounds: 3,
    runs: [0, 9, 0.01].flatMap((more) =>
      trafficKinds.flatMap((kind) =>
        inClusterNodes.map((node) => ({ node, kind, microseconds: (node === 'all' ? 2.5 : 2) + more })),
      ),
    ),
  });
  assert.deepEqual(inCluster.rows[0], { kind: 'packet', local: 2.01, all: 2.51, difference: 0.5 });
  assert.match(inClusterResultText(inCluster), /new UDP flow +2\.01 +2\.51 +0\.50/);
});
