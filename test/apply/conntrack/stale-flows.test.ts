import { BaseError } from '../../../src/base/errors.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetlinkError } from '../../../src/netlink/errors.js';
import { StaleFlows } from '../../../src/apply/conntrack/stale-flows.js';
import { silentLogger } from '../../../src/base/log.js';
import type { Flow, FlowQuery } from '../../../src/model/flow.js';
import type { Outcome } from '../../../src/model/operation.js';
import type { ServedFrontend } from '../../../src/plan/stale-flows.js';
import { realServerKey, type RealServerKey } from '../../../src/model/virtual-server.js';
import { ip } from '../../support/objects.js';

const flowTo = (address: string): Flow => ({
  family: 'IPv4',
  protocol: 'UDP',
  original: { source: ip('192.0.2.2'), sourcePort: 4000, destination: ip(address), destinationPort: 53 },
  reply: { source: ip(address), sourcePort: 53, destination: ip('192.0.2.2'), destinationPort: 4000 },
  id: 1,
  zone: 0,
});
const gone = (address: string): ServedFrontend => ({
  identity: { by: 'address', protocol: 'UDP', address: ip(address), port: 53 },
  realServers: new Set(),
});

/** A conntrack table whose dumps or deletions can fail. */
const setUp = () => {
  const table = new Set([flowTo('10.96.0.1'), flowTo('10.96.0.2')]);
  const state = { refuses: undefined as 'dump' | 'delete' | 'everything' | undefined };
  const asked: FlowQuery[] = [];
  const told: string[] = [];
  const conntrack = {
    flows: async (query: FlowQuery): Promise<readonly Flow[]> => {
      asked.push(query);
      if (state.refuses === 'dump') throw new BaseError('EINVAL');
      if (state.refuses === 'everything') throw new NetlinkError('list the flows', 22);
      return [...table];
    },
    delete: async (flows: readonly Flow[]): Promise<readonly Outcome[]> =>
      flows.map((flow) => {
        if (state.refuses === 'delete') return { status: 'failed', errno: 'EBUSY', message: 'EBUSY' };
        table.delete(flow);
        return { status: 'applied' };
      }),
  };
  const log = {
    ...silentLogger,
    warn: (fields: object) => void told.push(`warn ${JSON.stringify(fields)}`),
    info: (fields: object) => void told.push(`info ${JSON.stringify(fields)}`),
  };
  /** Real servers by the address of their frontend; other frontends have none. */
  const realServers = new Map<string, ReadonlySet<RealServerKey>>();
  const cleanings: string[] = [];
  const stale = new StaleFlows({
    conntrack,
    onCleaned: ({ family, seconds, deleted }) => {
      assert.ok(seconds >= 0);
      cleanings.push(`${family} ${deleted}`);
    },
    frontendOf: (identity) => ({
      identity,
      realServers: realServers.get(identity.by === 'address' ? identity.address : '') ?? new Set(),
    }),
    log,
  });
  return { table, state, asked, told, realServers, cleanings, stale };
};

test('stale flows are deleted and counted; the kernel is not queried if no frontend changed', async () => {
  const { table, asked, told, cleanings, stale } = setUp();
  await stale.clean([]);
  assert.deepEqual([asked, cleanings], [[], []]);
  await stale.clean([gone('10.96.0.1')]);
  assert.deepEqual([...table], [flowTo('10.96.0.2')]);
  assert.deepEqual(stale.counts, { deleted: 1, failed: 0 });
  assert.deepEqual(cleanings, ['IPv4 1']);
  assert.deepEqual(told, []);
});

for (const refuses of ['dump', 'delete'] as const)
  test(`a ${refuses} that fails is logged once, retried with the next call, and its recovery is logged`, async () => {
    const { table, state, told, stale } = setUp();
    state.refuses = refuses;
    await stale.clean([gone('10.96.0.1')]);
    await stale.clean([gone('10.96.0.2')]);
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /^warn .*IPv4 UDP.*E(INVAL|BUSY)/);
    assert.equal(table.size, 2);
    assert.ok(stale.counts.failed >= 2);
    state.refuses = undefined;
    await stale.clean([]);
    assert.equal(table.size, 0);
    assert.deepEqual(told.slice(1), ['info {"event":"stale-flows-recovered","flows":"IPv4 UDP"}']);
    await stale.clean([]);
    assert.equal(told.length, 2);
  });

test('a failed cleaning is retried with the current state of the frontend', async () => {
  const { table, state, stale } = setUp();
  state.refuses = 'dump';
  await stale.clean([gone('10.96.0.1')]);
  state.refuses = undefined;
  await stale.clean([{ ...gone('10.96.0.1'), realServers: new Set([realServerKey(ip('10.96.0.1'), 53)]) }]);
  assert.equal(table.size, 2);
});

test('a failed cleaning is retried with the current real servers of the frontend', async () => {
  const { table, state, realServers, stale } = setUp();
  state.refuses = 'dump';
  await stale.clean([gone('10.96.0.1'), gone('10.96.0.2')]);
  state.refuses = undefined;
  realServers.set('10.96.0.1', new Set([realServerKey(ip('10.96.0.1'), 53)]));
  await stale.clean([]);
  assert.deepEqual([...table], [flowTo('10.96.0.1')]);
});

test('on a kernel without ctnetlink no failure is retried', async () => {
  const { asked, state, told, stale } = setUp();
  state.refuses = 'everything';
  await stale.clean([gone('10.96.0.1')]);
  await stale.clean([]);
  assert.equal(asked.length, 1);
  await stale.clean([gone('10.96.0.2')]);
  assert.equal(asked.length, 2, 'the module may have been loaded');
  assert.equal(told.length, 1);
});
