import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { setElement } from '../../src/nftables/declarations.js';
import type { DesiredVirtualServer } from '../../src/model/virtual-server.js';
import { virtualServerJson } from '../../src/plan/output/ipvs-table-formats.js';
import {
  DesiredFromResponse,
  parseElementKey,
  parseVirtualServerKey,
  type DesiredResponse,
} from '../../src/admin-api/desired-response.js';
import { ip } from '../support/objects.js';
import { real, entry, virtual } from '../support/observed-entries.js';
import { seed } from '../support/seed.js';

const none: DesiredResponse = {
  version: 1,
  virtualServers: {},
  dummyAddresses: [],
  elements: [],
  lingering: { virtualServers: {}, dummyAddresses: [], elements: [] },
  drainSeconds: { byProtocol: { TCP: 900, UDP: 5, SCTP: 60 }, byVirtualServer: {} },
  excludeCidrs: [],
  packetTables: {},
  kernelSettings: [],
};

const sticky = (address: string, prefixLength: number) =>
  virtual('TCP', address, 443, {
    scheduler: 'mh',
    flags: ['mh-port'],
    persistence: { seconds: 60, prefixLength },
  });
const tables = [
  entry(
    virtual('TCP', '10.96.0.1', 80),
    real('10.244.1.1', 8080, 0),
    real('10.244.1.2', 8080, 0, { weight: 7 }),
  ),
  entry(
    virtual('UDP', 'fd00::1', 53),
    real('fd00:244::1', 5353, 0, { upperThreshold: 9, lowerThreshold: 3 }),
  ),
  entry(sticky('10.96.0.2', 32)),
  entry(sticky('10.96.0.3', 24)),
  entry(sticky('fd00::2', 64)),
  entry(virtual('SCTP', '10.96.0.4', 65_535)),
];

const settings = ({ server, realServers }: Pick<DesiredVirtualServer, 'server' | 'realServers'>) => [
  [server.key, server.identity, server.scheduler, server.persistence, server.flags],
  [...realServers.values()].map(
    ({ key, address, port, weight, forwarding, upperThreshold, lowerThreshold }) => [
      key,
      address,
      port,
      weight,
      forwarding,
      upperThreshold,
      lowerThreshold,
    ],
  ),
];

test('virtual servers that went through an answer are as they were', () => {
  const virtualServers = Object.fromEntries(tables.map((each) => [each.server.key, virtualServerJson(each)]));
  const answered = JSON.parse(JSON.stringify({ ...none, virtualServers })) as DesiredResponse;
  const wanted = new DesiredFromResponse(answered);
  for (const each of tables) {
    const found = wanted.virtualServer(each.server.key);
    assert.ok(found);
    assert.deepEqual(settings(found), settings(each));
    assert.equal(found.drainMilliseconds, undefined);
  }
  assert.equal(wanted.keys().virtualServers.size, tables.length);
});

test('what lingers is wanted too, but what is asked for goes before it', () => {
  const [web, dns] = tables;
  assert.ok(web !== undefined && dns !== undefined);
  const lingers = { ...virtualServerJson(web), scheduler: 'lc' };
  const answer = (virtualServers: DesiredResponse['virtualServers']) =>
    new DesiredFromResponse({
      ...none,
      virtualServers,
      dummyAddresses: ['10.96.0.1/32'],
      elements: ['IPv4 vips 10.96.0.1'],
      lingering: {
        virtualServers: { [web.server.key]: lingers },
        dummyAddresses: ['fd00::1/128'],
        elements: ['IPv6 vips fd00::1'],
      },
      drainSeconds: { byProtocol: { TCP: 1, UDP: 0, SCTP: 2.5 }, byVirtualServer: { [web.server.key]: 2.5 } },
    });
  const scheduler = (wanted: DesiredFromResponse) => wanted.virtualServer(web.server.key)?.server.scheduler;
  assert.equal(scheduler(answer({})), 'lc');
  const both = answer({ [web.server.key]: virtualServerJson(web) });
  assert.equal(scheduler(both), 'rr');
  assert.equal(both.virtualServer(web.server.key)?.drainMilliseconds, 2_500);
  assert.deepEqual(both.drainSettings.deadlines, { TCP: 1_000, UDP: 0, SCTP: 2_500 });
  assert.deepEqual([...both.keys().addresses], ['10.96.0.1', 'fd00::1']);
  assert.deepEqual([both.bindings(ip('fd00::1')), both.bindings(ip('10.96.0.2'))], [['address'], []]);
  assert.deepEqual(
    [...both.keys().elements].map((key) => both.element(key)?.fields),
    [['10.96.0.1'], ['fd00::1']],
  );
});

test('VIPs are bound as the response says; an older daemon reports no routes', () => {
  const routes = new DesiredFromResponse({
    ...none,
    localRoutes: ['10.96.0.1/32'],
    lingering: { ...none.lingering, localRoutes: ['fd00::1/128'] },
  });
  assert.deepEqual([...routes.keys().addresses], ['10.96.0.1', 'fd00::1']);
  assert.deepEqual(
    ['10.96.0.1', 'fd00::1', '10.96.0.2'].map((text) => routes.bindings(ip(text))),
    [['route'], ['route'], []],
  );
  assert.deepEqual([...new DesiredFromResponse(none).keys().addresses], []);
});

test('an element is named by its key whole', () => {
  for (const element of [
    setElement('IPv4', 'external', [ip('192.0.2.10'), 'TCP', 30_080]),
    setElement('IPv6', 'vips', [ip('fd00::1')]),
    setElement('IPv4', 'ports', ['UDP', 53]),
  ])
    assert.deepEqual(parseElementKey(element.key), element);
});

test('a key of ours names an address, and nothing else does', () => {
  assert.deepEqual(parseVirtualServerKey('UDP [fd00::1]:53'), {
    by: 'address',
    protocol: 'UDP',
    address: 'fd00::1',
    port: 53,
  });
  for (const key of ['FWM 5 IPv4', 'TCP 10.96.0.1:80 more', 'ICMP 10.96.0.1:0', ''])
    assert.equal(parseVirtualServerKey(key), undefined, key);
  assert.throws(() => parseVirtualServerKey('TCP web:80'), TypeError);
});

test('an answer that cannot be read is refused, and never half understood', () => {
  fc.assert(
    fc.property(fc.string(), (key) => {
      try {
        const virtualServers = { [key]: { scheduler: 'rr', realServers: {} } };
        assert.equal(new DesiredFromResponse({ ...none, virtualServers }).keys().virtualServers.size, 1);
      } catch (error) {
        assert.ok(error instanceof TypeError);
      }
    }),
    { seed },
  );
});
