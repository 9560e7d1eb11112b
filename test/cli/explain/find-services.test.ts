import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InputError } from '../../../src/base/errors.js';
import {
  packetSourceFor,
  parseSourceOption,
  type PacketSourceFacts,
} from '../../../src/cli/explain/packet-source.js';
import {
  findServices,
  identityMatcherFor,
  parseExplainTarget,
  suggestName,
} from '../../../src/cli/explain/find-services.js';
import type { LookupMatch } from '../../../src/admin-api/responses.js';
import { parseVirtualServerKey } from '../../../src/admin-api/desired-response.js';
import { servedVirtualServer } from '../../../src/cli/explain/facts.js';
import { goodServed } from '../../support/explain-facts.js';
import { ip } from '../../support/objects.js';

const finder = (...matches: readonly LookupMatch[]) => {
  const asked: string[] = [];
  const client = {
    lookUp: async (query: string) => {
      asked.push(query);
      return { version: 1 as const, query, matches };
    },
  };
  return { asked, client };
};

for (const { target, namespace, query } of [
  { target: 'shop/web', namespace: undefined, query: 'shop/web' },
  { target: 'svc/web:http', namespace: 'shop', query: 'shop/web' },
  { target: 'web', namespace: undefined, query: 'web' },
  { target: 'web', namespace: 'shop', query: 'shop/web' },
  { target: 'pod/web-1', namespace: undefined, query: 'default/web-1' },
  { target: '10.96.0.1', namespace: undefined, query: '10.96.0.1' },
  { target: 'TCP 10.96.0.1:80', namespace: undefined, query: '10.96.0.1:80' },
  { target: '10.96.0.1:80/TCP', namespace: undefined, query: '10.96.0.1:80' },
  { target: '[fd00::a]:53/udp', namespace: undefined, query: '[fd00::a]:53' },
  { target: 'shop/web-1', namespace: undefined, query: 'shop/web-1' },
  { target: 'udp:[fd00::A]:53', namespace: undefined, query: '[fd00::a]:53' },
  { target: ':30080', namespace: undefined, query: '30080' },
  { target: '30080', namespace: 'shop', query: '30080' },
])
  test(`${target}${namespace === undefined ? '' : ` -n ${namespace}`} asks the daemon for ${query}`, async () => {
    const { asked, client } = finder();
    assert.deepEqual(await findServices(client, parseExplainTarget(target, namespace)), []);
    assert.deepEqual(asked, [query]);
  });

test('an invalid target is an input error', () => {
  for (const target of ['', 'a/b/c', 'Web!', '10.96.0.1:http', '99999999'])
    assert.throws(() => parseExplainTarget(target, 'default'), InputError, target);
});

test('a Service takes precedence over a pod of the same name, unless the target names a kind', async () => {
  const matches: readonly LookupMatch[] = [
    { service: 'shop/web', because: '', matched: 'service' },
    { service: 'shop/other', because: '', matched: 'pod', endpoint: 'shop/web' },
  ];
  const names = async (target: string) =>
    (await findServices(finder(...matches).client, parseExplainTarget(target, 'shop'))).map(
      ({ service, pod }) => [service, pod],
    );
  assert.deepEqual(await names('web'), [['shop/web', undefined]]);
  assert.deepEqual(await names('pod/web'), [['shop/other', 'shop/web']]);
});

test('a port or protocol selects a part of the Service', async () => {
  const udp = servedVirtualServer({ ...goodServed, key: 'UDP 10.96.0.1:80' });
  const nodePort = servedVirtualServer({ ...goodServed, key: 'TCP 192.0.2.10:30080', frontend: 'NodePort' });
  const other = servedVirtualServer({
    ...goodServed,
    key: 'TCP 10.96.0.1:443',
    port: { name: 'https', port: 443 },
  });
  const all = [goodServed, udp, nodePort, other];
  const meant = async (target: string, match: Omit<LookupMatch, 'service' | 'because'>) => {
    const [found] = await findServices(
      finder({ service: 'shop/web', because: '', ...match }).client,
      parseExplainTarget(target, undefined),
    );
    return all.filter((served) => found?.matches(served)).map(({ key }) => key);
  };
  assert.deepEqual(await meant('shop/web:https', { matched: 'service' }), [other.key]);
  assert.deepEqual(await meant('web:80', { matched: 'service' }), [goodServed.key, udp.key, nodePort.key]);
  assert.deepEqual(await meant('10.96.0.1:80', { matched: 'virtual-server', protocol: 'TCP' }), [
    goodServed.key,
    udp.key,
  ]);
  assert.deepEqual(await meant('tcp/10.96.0.1', { matched: 'address' }), [goodServed.key, other.key]);
  assert.deepEqual(await meant(':30080', { matched: 'node-port' }), [nodePort.key]);
  assert.deepEqual(
    await meant('10.244.1.1', { matched: 'endpoint', endpoint: '10.244.1.1' }),
    all.map(({ key }) => key),
  );
});

test('without names, the kernel is searched by address and port', () => {
  const meant = (target: string, key: string) => {
    const identity = parseVirtualServerKey(key);
    return identity && identityMatcherFor(parseExplainTarget(target, undefined))(identity);
  };
  assert.equal(meant(':30080', 'TCP 192.0.2.10:30080'), true);
  assert.equal(meant('UDP :30080', 'TCP 192.0.2.10:30080'), false);
  assert.equal(meant('[fd00::1]:80', 'TCP [fd00::1]:80'), true);
  assert.equal(meant('fd00::1', 'TCP [fd00::2]:80'), false);
  assert.equal(meant('web', 'TCP 10.96.0.1:80'), false);
});

test('the nearest name is suggested, of Services and pods', () => {
  const answer = { version: 1 as const, virtualServers: { [goodServed.key]: goodServed } };
  const suggested = (target: string) => suggestName(answer, parseExplainTarget(target, undefined));
  assert.equal(suggested('shop/wbe'), 'shop/web');
  assert.equal(suggested('wbe'), 'shop/web');
  assert.equal(suggested('shop/web-3'), 'shop/web-1');
  assert.equal(suggested('kube-system/metrics-server'), undefined);
});

const facts: PacketSourceFacts = {
  family: 'IPv4',
  podTraffic: { by: 'source', cidr: { text: '10.244.0.0/16', address: ip('10.244.0.0'), prefixLength: 16 } },
  isLocal: (address) => address === '10.200.0.2',
  isPodLocal: (address) => (address === '10.9.9.9' ? false : undefined),
  ranges: [],
};

for (const { from, source } of [
  { from: 'pod', source: { who: 'pod', address: '10.244.0.250', here: true, given: false } },
  { from: 'node', source: { who: 'node', address: undefined, here: true, given: false } },
  { from: 'outside', source: { who: 'outside', address: '192.0.2.250', here: false, given: false } },
  { from: '10.244.3.4', source: { who: 'pod', address: '10.244.3.4', here: true, given: true } },
  { from: '10.9.9.9', source: { who: 'pod', address: '10.9.9.9', here: false, given: true } },
  { from: '10.200.0.2', source: { who: 'node', address: undefined, here: true, given: true } },
  { from: '172.31.0.9', source: { who: 'outside', address: '172.31.0.9', here: false, given: true } },
  { from: 'outside=10.244.3.4', source: { who: 'outside', address: '10.244.3.4', here: false, given: true } },
  { from: 'fd00::1', source: undefined },
])
  test(`--from ${from} is ${source === undefined ? 'not in IPv4' : source.who}`, () => {
    const parsed = parseSourceOption(from);
    assert.ok(parsed);
    const { interfaceName: _, ...found } = packetSourceFor(parsed, facts) ?? { interfaceName: '' };
    assert.deepEqual(found, source ?? {});
  });

test('the example of a client outside is in the source ranges; other words are rejected', () => {
  const range = { text: '172.31.0.0/24', address: ip('172.31.0.0'), prefixLength: 24 };
  const parsed = parseSourceOption('outside');
  assert.ok(parsed);
  assert.equal(packetSourceFor(parsed, { ...facts, ranges: [range] })?.address, '172.31.0.250');
  for (const text of ['', 'anyone', 'pod=x', 'node=']) assert.equal(parseSourceOption(text), undefined, text);
});
