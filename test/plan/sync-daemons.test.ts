import assert from 'node:assert/strict';
import { test } from 'node:test';
import { syncAddresses, type SyncDaemon, type SyncRole } from '../../src/model/sync-daemon.js';
import { planSyncDaemons } from '../../src/plan/sync-daemons.js';
import { ip } from '../support/objects.js';

const own = syncAddresses('');
const daemon = (role: SyncRole, changes: Partial<SyncDaemon> = {}): SyncDaemon => ({
  role,
  interface: 'eth1',
  syncId: 7,
  address: own.IPv4,
  port: 8848,
  ttl: 1,
  ...changes,
});
const [master, backup] = [daemon('master'), daemon('backup')];
const foreign = daemon('master', { address: ip('224.0.0.81') });

interface Case {
  readonly desired?: readonly SyncDaemon[];
  readonly observed?: readonly SyncDaemon[];
  readonly isIntact?: boolean;
  readonly stop?: readonly SyncRole[];
  readonly start?: readonly SyncDaemon[];
  readonly foreign?: readonly SyncDaemon[];
}

const both = [master, backup];
const cases: Readonly<Record<string, Case>> = {
  'nothing is asked for and nothing runs': {},
  'both start': { desired: both, start: both },
  'what runs as asked for is left alone': { desired: both, observed: both },
  'one that stopped starts': { desired: both, observed: [master], start: [backup] },
  'a setting that is removed stops both': { observed: both, stop: ['master', 'backup'] },
  'other settings replace both': {
    desired: [daemon('master', { syncId: 8 }), daemon('backup', { interface: 'eth2' })],
    observed: both,
    stop: ['master', 'backup'],
    start: [daemon('master', { syncId: 8 }), daemon('backup', { interface: 'eth2' })],
  },
  'another port and another family too': {
    desired: [daemon('master', { port: 8849 }), daemon('backup', { address: own.IPv6 })],
    observed: both,
    stop: ['master', 'backup'],
    start: [daemon('master', { port: 8849 }), daemon('backup', { address: own.IPv6 })],
  },
  'threads that lost their interface are replaced': {
    desired: both,
    observed: both,
    isIntact: false,
    stop: ['master', 'backup'],
    start: both,
  },
  'a daemon of another program is not touched, and the other role starts': {
    desired: both,
    observed: [foreign],
    start: [backup],
    foreign: [foreign],
  },
  'not even where nothing is asked for': {
    observed: [foreign, backup],
    stop: ['backup'],
    foreign: [foreign],
  },
};

for (const [what, { desired = [], observed = [], isIntact = true, ...expected }] of Object.entries(cases))
  test(what, () => {
    assert.deepEqual(planSyncDaemons({ desired, observed, own, isIntact }), {
      stop: [],
      start: [],
      foreign: [],
      ...expected,
    });
  });

test('each instance has addresses of its own, which are multicast addresses of a site', () => {
  assert.deepEqual(own, { IPv4: '239.192.73.80', IPv6: 'ff15::4950' });
  const other = syncAddresses('edge');
  assert.match(other.IPv4, /^239\.19[2-5]\.\d+\.\d+$/);
  assert.match(other.IPv6, /^ff15::[0-9a-f:]+$/);
  assert.notEqual(other.IPv4, own.IPv4);
  assert.notEqual(other.IPv6, own.IPv6);
});
