import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  missingForKubeIpvs,
  missingForKubeProxy,
  type NodeState,
} from '../../../src/cli/migrate/node-state.js';

const empty: NodeState = {
  kubeIpvs: undefined,
  kubeIpvsProcesses: [],
  kubeProxyProcesses: [],
  health: 'closed',
  kubeProxyRules: undefined,
};
const daemon = { pid: 9, synced: true, trouble: undefined };

test('kube-ipvs serves once kube-proxy has stopped and a sync has succeeded', () => {
  const cases: readonly (readonly [Partial<NodeState>, string | undefined])[] = [
    [{ kubeIpvs: daemon, kubeProxyProcesses: [7] }, 'kube-proxy (process 7) to stop'],
    [{}, 'kube-ipvs to answer on its admin socket'],
    [{ kubeIpvs: { ...daemon, synced: false } }, 'the first sync of kube-ipvs (process 9)'],
    [
      { kubeIpvs: { ...daemon, synced: false, trouble: 'cannot reach the API server' } },
      'the first sync of kube-ipvs (process 9): cannot reach the API server',
    ],
    [{ kubeIpvs: daemon }, undefined],
  ];
  for (const [state, missing] of cases) assert.equal(missingForKubeIpvs({ ...empty, ...state }), missing);
});

test('kube-proxy serves once kube-ipvs has stopped and its rules are in the kernel', () => {
  const cases: readonly (readonly [Partial<NodeState>, string | undefined])[] = [
    [{ kubeIpvsProcesses: [9], kubeIpvs: daemon }, 'kube-ipvs (process 9) to stop'],
    [{ kubeIpvs: daemon }, 'kube-ipvs (process 9) to stop'],
    [{}, 'kube-proxy to start'],
    [{ health: 'off' }, 'kube-proxy to start'],
    [{ health: 'unhealthy' }, 'kube-proxy to become healthy'],
    [{ health: 'healthy' }, 'the first rules of kube-proxy'],
    [{ health: 'healthy', kubeProxyRules: 'iptables' }, undefined],
    [{ health: 'off', kubeProxyProcesses: [7], kubeProxyRules: 'ipvs' }, undefined],
  ];
  for (const [state, missing] of cases) assert.equal(missingForKubeProxy({ ...empty, ...state }), missing);
});
