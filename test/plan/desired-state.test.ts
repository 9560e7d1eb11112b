import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serviceKey } from '../../src/model/service.js';
import { DesiredState } from '../../src/plan/desired-state.js';
import { render, renderContext } from '../../src/plan/render/render.js';
import { ip, local, nodeFacts, notReady, ready, service, settings, slice } from '../support/objects.js';
import { SimulatedNode } from '../support/simulated-node.js';
import { cpuMilliseconds } from '../support/cpu-time.js';

const shared = { externalIPs: ['198.51.100.7'] };
const older = service('zebra', { clusterIP: '10.96.0.2', ...shared, createdAt: '2020-01-01T00:00:00Z' });
const younger = service('aardvark', { clusterIP: '10.96.0.3', ...shared, createdAt: '2021-01-01T00:00:00Z' });
const olderSlice = slice('zebra', [ready('10.1.0.1')]);
const youngerSlice = slice('aardvark', [ready('10.1.0.2')]);

const line = (node: SimulatedNode): string | undefined =>
  node.lines.find((text) => text.startsWith('TCP 198.51.100.7:80'));

for (const order of [
  [older, younger],
  [younger, older],
])
  test(`of two Services on one address and port the older wins, though ${order[0]?.name} came first`, () => {
    const node = new SimulatedNode();
    for (const one of order) node.change(one.key, one, one === older ? [olderSlice] : [youngerSlice]);
    assert.equal(line(node), 'TCP 198.51.100.7:80 → 10.1.0.1:80');
    assert.deepEqual(node.problems, ['AddressInUse']);
    const [problem] = node.desired.clashes();
    assert.equal(problem?.service, younger.key);
    assert.match(problem.message, /TCP 198\.51\.100\.7:80 .*default\/zebra/);
  });

test('equally old Services go by their names', () => {
  const node = new SimulatedNode();
  const twin = service('aaa', { clusterIP: '10.96.0.4', ...shared, createdAt: '2020-01-01T00:00:00Z' });
  node.replace({ services: [older, twin], slices: [olderSlice] });
  assert.equal(line(node), 'TCP 198.51.100.7:80 → —');
});

test('the loser takes over in place when the winner goes, and the address stays bound', () => {
  const node = new SimulatedNode();
  node.replace({ services: [older, younger], slices: [olderSlice, youngerSlice] });
  assert.deepEqual(node.change(older.key, undefined, []), [
    '- virtual server TCP 10.96.0.2:80',
    '- address 10.96.0.2/32',
    '+ real server TCP 198.51.100.7:80 → 10.1.0.2:80 masquerade weight 1',
    '~ real server TCP 198.51.100.7:80 → 10.1.0.1:80 masquerade weight 0',
    '- real server TCP 198.51.100.7:80 → 10.1.0.1:80',
  ]);
  assert.deepEqual(node.problems, []);
  assert.deepEqual(node.addresses, ['10.96.0.3/32', '198.51.100.7/32']);
});

test('an address that two Services use on different ports is bound once and unbound with the last', () => {
  const node = new SimulatedNode();
  const other = service('other', { clusterIP: '10.96.0.5', ports: [':443'], ...shared });
  node.change(older.key, older, []);
  const operations = node.change(other.key, other, []);
  assert.ok(!operations.includes('+ address 198.51.100.7/32'));
  assert.ok(!node.change(older.key, undefined, []).includes('- address 198.51.100.7/32'));
  assert.ok(node.change(other.key, undefined, []).includes('- address 198.51.100.7/32'));
});

test('replacing a fragment touches the keys before and after, and nothing else', () => {
  const node = new SimulatedNode();
  for (let index = 0; index < 50; index += 1) {
    const one = service(`s${index}`, { clusterIP: `10.97.0.${index}` });
    node.change(one.key, one, []);
  }
  const touched = node.desired.replace(serviceKey('default', 's7'), undefined);
  assert.deepEqual([...touched.virtualServers], ['TCP 10.97.0.7:80']);
  assert.deepEqual([...touched.addresses], ['10.97.0.7']);
});

test('Services without the local endpoints that their policies want are counted, once a policy and family', () => {
  const node = new SimulatedNode();
  const counts = () => structuredClone(node.desired.localShortages.counts);
  const web = service('web', {
    clusterIP: '10.96.0.9',
    type: 'NodePort',
    ports: ['a:80@30080', 'b:81@30081'],
    internalTrafficPolicy: 'Local',
    externalTrafficPolicy: 'Local',
  });
  const at = (endpoint: ReturnType<typeof ready>) => [slice('web', [endpoint], { ports: ['a:80', 'b:81'] })];
  const none = { internal: { IPv4: 0, IPv6: 0 }, external: { IPv4: 0, IPv6: 0 } };
  node.change(web.key, web, at(ready('10.1.0.1')));
  assert.deepEqual(counts(), { internal: { IPv4: 1, IPv6: 0 }, external: { IPv4: 1, IPv6: 0 } });
  node.change(web.key, web, at(local(ready('10.1.0.1'))));
  assert.deepEqual(counts(), none);
  node.change(web.key, { ...web, internalTrafficPolicy: 'Cluster' }, at(ready('10.1.0.1')));
  assert.deepEqual(counts(), { ...none, external: { IPv4: 1, IPv6: 0 } });
  // Nobody can serve it anywhere: that is no matter of policies.
  node.change(web.key, web, at(notReady('10.1.0.1')));
  assert.deepEqual(counts(), none);
  node.change(web.key, undefined, []);
  assert.deepEqual(counts(), none);
});

test('thousands of Services on one external IP cost no more each than few', () => {
  const context = renderContext(nodeFacts(), settings());
  const fragments = Array.from({ length: 8_000 }, (_, index) =>
    render(
      service(`s${index}`, { clusterIP: '10.96.0.2', ports: [`:${index + 1}`], ...shared }),
      [],
      context,
    ),
  );
  const desired = new DesiredState();
  const started = cpuMilliseconds();
  for (const fragment of [...fragments, ...fragments]) desired.replace(fragment.service, fragment);
  assert.ok(cpuMilliseconds() - started < 2_000);
  assert.equal(desired.hasAddress(ip('198.51.100.7')), true);
  for (const { service: key } of fragments) desired.replace(key, undefined);
  assert.deepEqual([...desired.addresses(), ...desired.keys().elements], []);
});
