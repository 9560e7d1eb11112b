import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBound } from '../../src/model/settings/vip-binding.js';
import { firewallMark } from '../../src/model/firewall-mark.js';
import { serviceKey } from '../../src/model/service.js';
import { DesiredState } from '../../src/plan/desired-state.js';
import { render } from '../../src/plan/render/render.js';
import { renderContext } from '../../src/plan/render/render-context.js';
import { ip, local, nodeFacts, notReady, ready, service, settings, slice } from '../support/objects.js';
import { desiredState, desiredText, problemsOf } from '../support/desired-kernel.js';
import { ProductionNode } from '../support/production-node.js';
import { cpuMilliseconds } from '../support/cpu-time.js';

const shared = { externalIPs: ['198.51.100.7'] };
const older = service('zebra', { clusterIP: '10.96.0.2', ...shared, createdAt: '2020-01-01T00:00:00Z' });
const younger = service('aardvark', { clusterIP: '10.96.0.3', ...shared, createdAt: '2021-01-01T00:00:00Z' });
const olderSlice = slice('zebra', [ready('10.1.0.1')]);
const youngerSlice = slice('aardvark', [ready('10.1.0.2')]);

for (const order of [
  [older, younger],
  [younger, older],
])
  test(`of two Services on one address and port the older wins, even if ${order[0]?.name} was added first`, () => {
    const desired = desiredState({ services: order, slices: [olderSlice, youngerSlice] });
    assert.ok(desiredText(desired).lines.includes('TCP 198.51.100.7:80 → 10.1.0.1:80'));
    assert.deepEqual(problemsOf(desired), ['AddressInUse']);
    const [problem] = desired.clashes();
    assert.equal(problem?.service, younger.key);
    assert.match(problem.message, /TCP 198\.51\.100\.7:80 .*default\/zebra/);
  });

test('Services of the same age are ordered by name', () => {
  const twin = service('aaa', { clusterIP: '10.96.0.4', ...shared, createdAt: '2020-01-01T00:00:00Z' });
  const desired = desiredState({ services: [older, twin], slices: [olderSlice] });
  assert.ok(desiredText(desired).lines.includes('TCP 198.51.100.7:80 → —'));
});

test('when the owner is deleted, the other Service takes over in place, and the address stays bound', async () => {
  await using node = await ProductionNode.start();
  await node.replace({ services: [older, younger], slices: [olderSlice, youngerSlice] });
  assert.deepEqual(await node.change(older.key, undefined, []), [
    '- virtual server TCP 10.96.0.2:80',
    '+ real server TCP 198.51.100.7:80 → 10.1.0.2:80 masquerade weight 1',
    '~ real server TCP 198.51.100.7:80 → 10.1.0.1:80 masquerade weight 0',
    '- address 10.96.0.2/32',
    '- real server TCP 198.51.100.7:80 → 10.1.0.1:80',
  ]);
  assert.deepEqual(node.problems, []);
  assert.deepEqual(node.addresses, ['10.96.0.3/32', '198.51.100.7/32']);
});

/** Two names of Services whose port 80 has the same firewall mark. */
const namesOfOneMark = (): readonly [string, string] => {
  const names = new Map<number, string>();
  for (let count = 0; ; count += 1) {
    const name = `s${count}`;
    const mark = firewallMark(serviceKey('default', name), { protocol: 'TCP', port: 80 }, 'IPv4');
    const other = names.get(mark);
    if (other !== undefined) return [other, name];
    names.set(mark, name);
  }
};

test('of two Services with one firewall mark the older has it, the younger keeps its local endpoints', async () => {
  const [first, second] = namesOfOneMark();
  const exposed = (name: string, number: number, createdAt: string) =>
    service(name, {
      type: 'LoadBalancer',
      clusterIP: `10.96.0.${number}`,
      externalTrafficPolicy: 'Local',
      ingress: [{ ip: `203.0.113.${number}` }],
      createdAt,
    });
  const [old, young] = [
    exposed(first, 1, '2020-01-01T00:00:00Z'),
    exposed(second, 2, '2021-01-01T00:00:00Z'),
  ];
  const [oldSlice, youngSlice] = [first, second].map((name, index) =>
    slice(name, [local(ready(`10.1.${index}.1`)), ready(`10.1.${index}.2`)]),
  );
  assert.ok(oldSlice !== undefined && youngSlice !== undefined);
  await using node = await ProductionNode.start({ settings: { inClusterEndpoints: 'all' } });
  const led = (): readonly string[] =>
    node.elements
      .filter((element) => element.startsWith('IPv4 in-cluster '))
      .map((element) => element.split(' ')[2] ?? '');
  await node.change(young.key, young, [youngSlice]);
  assert.deepEqual(led(), ['203.0.113.2']);
  await node.change(old.key, old, [oldSlice]);
  assert.deepEqual([led(), node.problems], [['203.0.113.1'], ['AddressInUse']]);
  assert.ok(
    node.lines.some((line) => /^FWM .* → 10\.1\.0\.1:80, 10\.1\.0\.2:80$/.test(line)),
    node.lines.join(),
  );
  await node.change(old.key, undefined, []);
  assert.deepEqual([led(), node.problems], [['203.0.113.2'], []]);
  assert.deepEqual(await node.resync(), []);
});

test('an address that two Services use on different ports is bound once and unbound with the last Service', async () => {
  await using node = await ProductionNode.start();
  const other = service('other', { clusterIP: '10.96.0.5', ports: [':443'], ...shared });
  await node.change(older.key, older, []);
  const operations = await node.change(other.key, other, []);
  assert.ok(!operations.includes('+ address 198.51.100.7/32'));
  assert.ok(!(await node.change(older.key, undefined, [])).includes('- address 198.51.100.7/32'));
  assert.ok((await node.change(other.key, undefined, [])).includes('- address 198.51.100.7/32'));
});

test('replacing a fragment makes exactly its old and new keys dirty', () => {
  const services = Array.from({ length: 50 }, (_, index) =>
    service(`s${index}`, { clusterIP: `10.97.0.${index}` }),
  );
  const touched = desiredState({ services, slices: [] }).replace(serviceKey('default', 's7'), undefined);
  assert.deepEqual([...touched.virtualServers], ['TCP 10.97.0.7:80']);
  assert.deepEqual([...touched.addresses], ['10.97.0.7']);
});

test('Services without the local endpoints that their policies require are counted once per policy and family', () => {
  const desired = new DesiredState();
  const context = renderContext(nodeFacts(), settings());
  const web = service('web', {
    clusterIP: '10.96.0.9',
    type: 'NodePort',
    ports: ['a:80@30080', 'b:81@30081'],
    internalTrafficPolicy: 'Local',
    externalTrafficPolicy: 'Local',
  });
  const counts = (one: typeof web, endpoint: ReturnType<typeof ready>) => {
    const slices = [slice('web', [endpoint], { ports: ['a:80', 'b:81'] })];
    desired.replace(web.key, render(one, slices, context));
    return structuredClone(desired.localShortages.counts);
  };
  const none = { internal: { IPv4: 0, IPv6: 0 }, external: { IPv4: 0, IPv6: 0 } };
  assert.deepEqual(counts(web, ready('10.1.0.1')), {
    internal: { IPv4: 1, IPv6: 0 },
    external: { IPv4: 1, IPv6: 0 },
  });
  assert.deepEqual(counts(web, local(ready('10.1.0.1'))), none);
  assert.deepEqual(counts({ ...web, internalTrafficPolicy: 'Cluster' }, ready('10.1.0.1')), {
    ...none,
    external: { IPv4: 1, IPv6: 0 },
  });
  // No node can serve it, regardless of the policies.
  assert.deepEqual(counts(web, notReady('10.1.0.1')), none);
  desired.replace(web.key, undefined);
  assert.deepEqual(desired.localShortages.counts, none);
});

test('the cost per Service does not grow with the number of Services on one external IP', () => {
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
  assert.ok(isBound(desired, ip('198.51.100.7')));
  for (const { service: key } of fragments) desired.replace(key, undefined);
  assert.deepEqual([...desired.keys().addresses, ...desired.keys().elements], []);
});
