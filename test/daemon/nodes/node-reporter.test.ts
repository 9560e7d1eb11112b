// virtual time: what is tested waits, gives up and tries again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { families, parseCidr } from '../../../src/base/ip.js';
import { parseFlags } from '../../../src/config/parse-flags.js';
import { resolveSettings } from '../../../src/config/settings.js';
import type { RecordedEvent } from '../../../src/daemon/events/event-recorder.js';
import { NodeReporter } from '../../../src/daemon/nodes/node-reporter.js';
import type { Node } from '../../../src/model/node.js';
import { ip } from '../../support/objects.js';
import { RecordingLog } from '../../support/recording-log.js';
import { elapse } from '../../support/virtual-clock.js';

const node = (changes: {
  readonly zone?: string;
  readonly podCidr?: string;
  readonly leaving?: boolean;
}): Node => {
  const cidr = parseCidr(changes.podCidr ?? '');
  return {
    name: 'n1',
    zone: changes.zone ?? 'a',
    addresses: [ip('10.0.0.1')],
    podCidrs: cidr === undefined ? [] : [cidr],
    isBeingRemoved: changes.leaving ?? false,
  };
};

const setUp = (...flags: readonly string[]) => {
  const log = new RecordingLog();
  const events: RecordedEvent[] = [];
  const store: { node: Node | undefined; synced: boolean } = { node: undefined, synced: false };
  const resolve = (...more: readonly string[]) =>
    resolveSettings({
      flags: parseFlags(['--proxy-mode=ipvs', '--nodeport-addresses=10.0.0.0/8', ...flags, ...more]),
      files: [],
      hostname: 'n1',
    });
  let settings = resolve();
  const news = new NodeReporter({
    store,
    settings: () => settings,
    served: families,
    events: { record: (event) => void events.push(event) },
    log,
    podNetworkTimeoutMilliseconds: 30,
  });
  const become = (next: Node | undefined): void => {
    store.synced = true;
    store.node = next;
    news.report();
  };
  const reload = (...more: readonly string[]): void => {
    settings = resolve(...more);
    news.report();
  };
  const take = (): readonly string[] =>
    log.lines.splice(0).map(({ level, fields }) => `${level}: ${String(fields['event'])}`);
  return { news, events, log, become, reload, take };
};

test('the Node is told once, and again when something changes that people want to see', () => {
  const { news, become, take, log } = setUp();
  news.report();
  assert.deepEqual(take(), []);
  become(node({ podCidr: '10.244.1.0/24' }));
  assert.deepEqual(log.lines[0]?.fields, {
    event: 'node-known',
    node: 'n1',
    addresses: ['10.0.0.1'],
    zone: 'a',
    podCIDRs: ['10.244.1.0/24'],
  });
  assert.deepEqual(take(), ['info: node-known']);
  become(node({ podCidr: '10.244.1.0/24', leaving: true }));
  assert.deepEqual(take(), []);
  become(node({ zone: 'b' }));
  assert.deepEqual(take(), ['info: node-changed']);
});

test('a missing Node is an error, said once; in manifests it is none', () => {
  const { become, take } = setUp();
  become(undefined);
  become(undefined);
  assert.deepEqual(take(), ['error: node-unknown']);
  const manifests = setUp('--source=manifests');
  manifests.become(undefined);
  assert.deepEqual(manifests.take(), []);
});

test('in NodeCIDR mode it is told that podCIDRs are waited for, and that they came', async () => {
  const { become, take, events } = setUp('--detect-local-mode=NodeCIDR');
  become(node({}));
  const waiting = 'warn: pod-networks-unknown';
  assert.deepEqual(take(), ['info: node-known', waiting]);
  become(node({ zone: 'b' }));
  assert.deepEqual(take(), ['info: node-changed']);
  become(node({ podCidr: '10.244.1.0/24' }));
  assert.deepEqual(take(), ['info: node-changed', 'info: pod-networks-known']);
  await elapse(60);
  assert.deepEqual(events, []);
});

test('podCIDRs that do not come become an error and an event of the Node', async () => {
  const { become, take, events } = setUp('--detect-local-mode=NodeCIDR');
  become(node({}));
  take();
  await elapse(60);
  assert.deepEqual(take(), ['error: pod-networks-missing']);
  assert.deepEqual(
    events.map(({ regarding, type, reason }) => [regarding, type, reason]),
    [[{ kind: 'Node', name: 'n1' }, 'Warning', 'PodCIDRsMissing']],
  );
});

test('settings that do not fit the Node are told when they come into force, each once', () => {
  const { become, reload, take } = setUp();
  become(node({ podCidr: 'fd00::/64' }));
  assert.deepEqual(take(), ['info: node-known', 'warn: configuration-warning']);
  become(node({ podCidr: 'fd00::/64', zone: 'b' }));
  assert.deepEqual(take(), ['info: node-changed']);
  reload('--cluster-cidr=fd00::/56');
  assert.deepEqual(take(), ['warn: configuration-warning']);
});
