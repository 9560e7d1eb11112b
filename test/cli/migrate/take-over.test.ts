import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BaseError } from '../../../src/base/errors.js';
import { goBack } from '../../../src/cli/migrate/go-back.js';
import { statusOf, type MigrationNode, type MigrationTimes } from '../../../src/cli/migrate/migration.js';
import type { NodeState } from '../../../src/cli/migrate/node-state.js';
import type { Probe } from '../../../src/cli/migrate/probe.js';
import { takeOver } from '../../../src/cli/migrate/take-over.js';

const times: MigrationTimes = { before: 3_000, observe: 15_000, timeout: 60_000, drain: 10_000 };

const kubeProxyServes: NodeState = {
  kubeIpvs: undefined,
  kubeIpvsProcesses: [],
  kubeProxyProcesses: [7],
  health: 'healthy',
  kubeProxyRules: 'ipvs',
};
const kubeIpvsServes: NodeState = {
  kubeIpvs: { pid: 9, synced: true, trouble: undefined },
  kubeIpvsProcesses: [9],
  kubeProxyProcesses: [],
  health: 'healthy',
  kubeProxyRules: 'ipvs',
};

/** A node in memory: it records what is done to it, and its requests fail from a certain action on. */
class FakeNode implements MigrationNode {
  readonly actions: string[] = [];
  readonly steps: string[] = [];
  readonly exceeded = new AbortController();
  readonly interrupted = new AbortController();
  current: NodeState;
  /** Requests fail once this action was done. */
  failsAfter: string | undefined;
  /** This action rejects. */
  refused: string | undefined;
  interruptedAfter: string | undefined;
  failing: readonly string[] = [];
  targets = ['http://10.96.0.10/'];
  remaining = 0;
  connections = [0];
  waited = 0;
  failures = 0;

  constructor(start: NodeState = kubeProxyServes) {
    this.current = start;
  }

  #act(action: string): void {
    this.actions.push(action);
    if (this.refused === action) throw new BaseError(`${action} was refused`);
  }

  readonly proxySwitch = {
    done: { toKubeIpvs: 'to kube-ipvs', toKubeProxy: 'to kube-proxy' },
    rehearse: async () => this.#act('rehearse'),
    toKubeIpvs: async () => {
      this.#act('to kube-ipvs');
      this.current = kubeIpvsServes;
    },
    toKubeProxy: async () => {
      this.#act('to kube-proxy');
      this.current = { ...kubeProxyServes, kubeProxyRules: this.current.kubeProxyRules };
    },
  };
  failedChecks = async () => this.failing;
  state = async () => this.current;
  removeKubeProxy = async () => {
    this.#act('remove kube-proxy');
    return { removed: 3, remaining: this.remaining };
  };
  removePacketRules = async () => {
    this.#act('remove packet rules');
    return { removed: 2, remaining: 0 };
  };
  releaseConnections = async () => this.#act('release connections');
  activeConnections = async () => this.connections.shift() ?? 0;
  removeKubeIpvs = async () => {
    this.#act('remove kube-ipvs');
    return { removed: 5, remaining: 0 };
  };
  delay = async (milliseconds: number, signal: AbortSignal) => {
    this.waited += milliseconds;
    if (this.failsAfter !== undefined && this.actions.includes(this.failsAfter)) {
      this.failures += 1;
      this.exceeded.abort();
    }
    if (this.interruptedAfter !== undefined && this.actions.includes(this.interruptedAfter))
      this.interrupted.abort();
    signal.throwIfAborted();
  };

  probe = async (): Promise<Probe> => {
    const countsNow = () =>
      this.targets.map((target) => ({
        target,
        requests: 100,
        failed: this.failures,
        slowestMilliseconds: 3,
      }));
    return {
      get counts() {
        return countsNow();
      },
      failures: ['http://10.96.0.10/: connection refused'],
      exceeded: this.exceeded.signal,
      [Symbol.asyncDispose]: async () => {
        this.steps.push('probe ended');
      },
    };
  };

  run() {
    const report = (step: string): void => {
      this.steps.push(step);
    };
    return { node: this, times, report, interrupted: this.interrupted.signal };
  }

  takeOver() {
    return takeOver(this.run(), this.probe);
  }

  goBack() {
    return goBack(this.run(), this.probe);
  }
}

test('a node is taken over in steps, with requests after each', async () => {
  const node = new FakeNode();
  const end = await node.takeOver();
  assert.equal(end.result, 'migrated');
  assert.equal(statusOf(end), 0);
  assert.deepEqual(node.actions, ['rehearse', 'to kube-ipvs', 'remove kube-proxy']);
  assert.deepEqual(node.steps, [
    'check',
    'probe',
    'before',
    'switch',
    'serve',
    'watch',
    'clean',
    'watch',
    'probe ended',
  ]);
  assert.equal(node.waited, 3_000 + 2 * 15_000);
});

test('nothing is changed where a check fails, the switch would be refused, or no target answers', async () => {
  const failing = new FakeNode();
  failing.failing = ['ipvs: this kernel has no IPVS'];
  const first = await failing.takeOver();
  assert.deepEqual([first.result, first.reason], ['unchanged', 'ipvs: this kernel has no IPVS']);
  assert.deepEqual(failing.actions, []);

  const refused = new FakeNode();
  refused.refused = 'rehearse';
  assert.equal((await refused.takeOver()).reason, 'rehearse was refused');
  assert.deepEqual(refused.actions, ['rehearse']);

  const silent = new FakeNode();
  silent.targets = [];
  assert.equal((await silent.takeOver()).result, 'unchanged');
  assert.deepEqual(silent.actions, ['rehearse']);
});

test('nothing is changed where a request fails before', async () => {
  const node = new FakeNode();
  node.failsAfter = 'rehearse';
  const end = await node.takeOver();
  assert.equal(end.result, 'unchanged');
  assert.equal(statusOf(end), 1);
  assert.match(end.reason ?? '', /^before the change: 1 request failed$/);
  assert.deepEqual(node.actions, ['rehearse']);
});

for (const after of ['to kube-ipvs', 'remove kube-proxy'])
  test(`a request that fails after "${after}" brings kube-proxy back`, async () => {
    const node = new FakeNode();
    node.failsAfter = after;
    const end = await node.takeOver();
    assert.equal(end.result, 'rolled-back');
    assert.equal(statusOf(end), 1);
    assert.equal(end.reason, '1 request failed');
    assert.deepEqual(node.actions.slice(-2), ['to kube-proxy', 'remove packet rules']);
  });

test('a step that fails, a late proxy and an interruption bring kube-proxy back', async () => {
  const broken = new FakeNode();
  broken.refused = 'to kube-ipvs';
  assert.deepEqual(
    [(await broken.takeOver()).reason, broken.actions.at(-1)],
    ['to kube-ipvs was refused', 'remove packet rules'],
  );

  const late = new FakeNode();
  late.proxySwitch.toKubeIpvs = async () => {};
  const end = await late.takeOver();
  assert.equal(end.result, 'rolled-back');
  assert.equal(end.reason, 'waited 1m0s for kube-proxy (process 7) to stop');

  const interrupted = new FakeNode();
  interrupted.interruptedAfter = 'to kube-ipvs';
  assert.equal((await interrupted.takeOver()).reason, 'the command was interrupted');
  assert.equal(interrupted.actions.at(-1), 'remove packet rules');
});

test('a roll back that fails names both failures and what to do', async () => {
  const node = new FakeNode();
  node.failsAfter = 'to kube-ipvs';
  node.refused = 'to kube-proxy';
  const end = await node.takeOver();
  assert.equal(end.result, 'failed');
  assert.match(end.reason ?? '', /^1 request failed; the roll back failed too: to kube-proxy was refused$/);
  assert.equal(end.remedies[0]?.command, 'kube-ipvs migrate back');
});

test('rules that cannot be removed leave the migration incomplete', async () => {
  const node = new FakeNode();
  node.remaining = 2;
  const end = await node.takeOver();
  assert.deepEqual(
    [end.result, end.reason, statusOf(end)],
    ['incomplete', '2 objects of kube-proxy could not be removed', 3],
  );
});

test('back in mode ipvs, kube-proxy keeps the virtual servers', async () => {
  const node = new FakeNode(kubeIpvsServes);
  const end = await node.goBack();
  assert.equal(end.result, 'returned');
  assert.deepEqual(node.actions, ['to kube-proxy', 'remove packet rules']);
  assert.deepEqual(node.steps, ['probe', 'switch', 'serve', 'clean', 'watch', 'probe ended']);
});

test('back in mode iptables, everything is removed once no connection needs it', async () => {
  const node = new FakeNode({ ...kubeIpvsServes, kubeProxyRules: 'iptables' });
  node.connections = [2, 1, 0];
  const end = await node.goBack();
  assert.equal(end.result, 'returned');
  assert.deepEqual(node.actions, ['to kube-proxy', 'release connections', 'remove kube-ipvs']);
});

test('back in mode iptables, connections that do not end keep kube-ipvs’s objects', async () => {
  const node = new FakeNode({ ...kubeIpvsServes, kubeProxyRules: 'iptables' });
  node.connections = Array.from({ length: 100 }, () => 1);
  const end = await node.goBack();
  assert.deepEqual(
    [end.result, end.reason, statusOf(end)],
    ['incomplete', '1 connection through IPVS did not end within 10s', 3],
  );
  assert.deepEqual(node.actions, ['to kube-proxy', 'release connections']);
});

test('back: requests that fail are reported; a kube-proxy that does not start is a failure', async () => {
  const node = new FakeNode(kubeIpvsServes);
  node.failsAfter = 'remove packet rules';
  const end = await node.goBack();
  assert.deepEqual([end.result, end.reason], ['incomplete', '1 request failed']);

  const stopped = new FakeNode(kubeIpvsServes);
  stopped.proxySwitch.toKubeProxy = async () => {};
  const failed = await stopped.goBack();
  assert.deepEqual(
    [failed.result, failed.reason],
    ['failed', 'waited 1m0s for kube-ipvs (process 9) to stop'],
  );
});
