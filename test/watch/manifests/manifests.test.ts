import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { InputError } from '../../../src/base/errors.js';
import { silentLogger, type Logger } from '../../../src/base/log.js';
import type { ServiceKey } from '../../../src/model/service.js';
import { ClusterStore } from '../../../src/watch/store/cluster-store.js';
import { manifestSource } from '../../../src/watch/manifests/manifest-source.js';
import { readManifest, readManifests } from '../../../src/watch/manifests/manifests.js';
import type { Source } from '../../../src/watch/source.js';
import { until } from '../follower.js';

const service = (name: string, clusterIp: string, port: string | number = 80): string => `apiVersion: v1
kind: Service
metadata:
  name: ${name}
spec:
  clusterIP: ${clusterIp}
  ports:
    - port: ${port}
`;

const slice = (name: string, address: string): string => `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: ${name}-x
  labels: { kubernetes.io/service-name: ${name} }
addressType: IPv4
ports: [{ port: 8080 }]
endpoints: [{ addresses: [${address}] }]
`;

const node = (name: string, zone: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'topology.kubernetes.io/zone': zone } },
  });

const read = (...texts: readonly string[]) =>
  readManifests(texts.map((text, index) => ({ name: `${index}.yaml`, text })));

test('what a person writes is enough: namespace, families, protocol, port name and times have defaults', () => {
  const { services, endpointSlices, problems } = read(
    `${service('web', '10.96.0.7')}---\n${slice('web', '10.244.0.5')}`,
  );
  assert.deepEqual(problems, []);
  const web = services.get('default/web' as ServiceKey);
  assert.deepEqual(web?.clusterIps, { IPv4: '10.96.0.7' });
  assert.deepEqual(web.ports, [{ name: '', protocol: 'TCP', port: 80, nodePort: undefined }]);
  const [found] = [...endpointSlices.values()];
  assert.equal(found?.service, 'default/web');
  assert.deepEqual(found.ports, [{ name: '', protocol: 'TCP', port: 8080 }]);
  assert.equal(found.endpoints[0]?.ready, true);
});

test('YAML, JSON, several documents, a v1 List and a ServiceList all hold objects; other kinds are counted', () => {
  const list = `apiVersion: v1
kind: List
items:
- ${service('a', '10.96.0.1').trimEnd().replaceAll('\n', '\n  ')}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: no}}
`;
  const typed = JSON.stringify({
    apiVersion: 'v1',
    kind: 'ServiceList',
    items: [{ metadata: { name: 'b' }, spec: { clusterIP: '10.96.0.2', ports: [] } }],
  });
  const several = `---\n---\n${service('c', '10.96.0.3')}---\n# nothing\n---\n${service('d', '10.96.0.4')}`;
  const { services, nodes } = read(list, typed, several, node('n', 'z'));
  assert.deepEqual([...services.keys()], ['default/a', 'default/b', 'default/c', 'default/d']);
  assert.equal(nodes.get('n')?.zone, 'z');
  assert.equal(readManifest({ name: 'x', text: list }).ignored, 1);
});

test('what the selectors of an API server would hide is hidden', () => {
  const labelled = service('other', '10.96.0.1').replace(
    'name: other',
    'name: other\n  labels: {service.kubernetes.io/service-proxy-name: x}',
  );
  const headlessSlice = slice('h', '10.244.0.1').replace(
    'labels: { ',
    'labels: { service.kubernetes.io/headless: "", ',
  );
  const { services, endpointSlices, problems } = read(labelled, service('h', 'None'), headlessSlice);
  assert.deepEqual([services.size, endpointSlices.size, problems], [0, 0, []]);
});

test('errors name file, line, document, object and field', () => {
  const cases: readonly [text: string, message: RegExp][] = [
    [
      `${service('a', '10.96.0.1')}---\n${service('b', '10.96.0.2', 'eighty')}`,
      /^0\.yaml:17: document 2: Service default\/b: spec\.ports\[0\]\.port: /,
    ],
    [`${service('a', '10.96.0.1')}---\nkind: [unclosed\n`, /^0\.yaml:1\d: document 2: /],
    ['just text', /^0\.yaml:1: document 1: not a Kubernetes object: apiVersion and kind are missing/],
    [
      'apiVersion: v1\nmetadata: {name: x}\n',
      /^0\.yaml:1: document 1: not a Kubernetes object: apiVersion and kind are missing/,
    ],
    [
      '{"apiVersion": "v1",\n"kind": "Service", "metadata": {"name": 7}}',
      /^0\.yaml:2: document 1: .*metadata\.name: /,
    ],
  ];
  for (const [text, message] of cases) assert.throws(() => read(text), { name: /Error$/, message }, text);
  assert.throws(() => read('just text'), InputError);
});

test('of an object in two files the first by file name counts, and that is reported', () => {
  const { services, problems } = readManifests([
    { name: 'b.yaml', text: service('web', '10.96.0.2') },
    { name: 'a.yaml', text: service('web', '10.96.0.1') },
  ]);
  assert.equal(services.get('default/web' as ServiceKey)?.clusterIps.IPv4, '10.96.0.1');
  assert.deepEqual(problems, ['b.yaml: Service default/web: stands in a.yaml too; the one there counts']);
});

test('a skipped part is a problem with its place; the rest of the object counts', () => {
  const text = service('web', '10.96.0.1').replace('spec:', 'spec:\n  externalIPs: [bogus, 192.0.2.1]');
  const { services, problems } = read(text);
  assert.deepEqual(services.get('default/web' as ServiceKey)?.externalIps, ['192.0.2.1']);
  assert.match(
    problems.join('\n'),
    /^0\.yaml:1: document 1: Service default\/web: spec\.externalIPs\[0\]: "bogus"/,
  );
});

interface Setup extends AsyncDisposable {
  readonly folder: string;
  readonly store: ClusterStore;
  readonly source: Source;
  readonly states: string[];
  readonly problems: string[];
  /** Whose problems were resolved. */
  readonly resolved: string[];
  write(name: string, text: string): void;
}

/** A folder with files, followed; `states` has the Services and their ClusterIPs after each notification. */
const setup = (
  files: Readonly<Record<string, string>>,
  { path = (folder: string) => folder, pollMilliseconds = 60_000 } = {},
): Setup => {
  const folder = mkdtempSync(join(tmpdir(), 'kube-ipvs-manifests-'));
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  for (const [name, text] of Object.entries(files)) write(name, text);
  const states: string[] = [];
  const problems: string[] = [];
  const resolved: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    warn: (fields) => problems.push(...((fields as { problems?: string[] }).problems ?? [])),
    info: (fields) => {
      const { event, object = '' } = fields as { event: string; object?: string };
      if (event === 'object-problems-resolved') resolved.push(object);
    },
  };
  const store = new ClusterStore(() => {
    const services = [...store.serviceKeys()].toSorted();
    states.push(services.map((key) => `${key.slice(8)}=${store.service(key)?.clusterIps.IPv4}`).join(' '));
  });
  const source = manifestSource({
    path: path(folder),
    nodeName: 'me',
    logger,
    settleMilliseconds: 20,
    pollMilliseconds,
  });
  source.start(store);
  const dispose = async (): Promise<void> => {
    await source[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  };
  return { folder, store, source, states, problems, resolved, write, [Symbol.asyncDispose]: dispose };
};

const state = async ({ states }: Setup, wanted: string): Promise<void> =>
  until(`the state ${wanted}`, () => states.at(-1) === wanted);

test('a folder is followed through new, changed, renamed and deleted files', async () => {
  await using it = setup({
    'a.yaml': service('a', '10.96.0.1'),
    'note.txt': 'no manifest',
    '.b.yaml': 'no: manifest',
  });
  await state(it, 'a=10.96.0.1');
  assert.equal(it.store.synced, true);
  it.write('b.yml', service('b', '10.96.0.2'));
  await state(it, 'a=10.96.0.1 b=10.96.0.2');
  it.write('a.yaml', service('a', '10.96.0.9'));
  await state(it, 'a=10.96.0.9 b=10.96.0.2');
  // As editors save: a new file takes the name of the old.
  it.write('a.yaml.swp', service('a', '10.96.0.8'));
  renameSync(join(it.folder, 'a.yaml.swp'), join(it.folder, 'a.yaml'));
  await state(it, 'a=10.96.0.8 b=10.96.0.2');
  unlinkSync(join(it.folder, 'b.yml'));
  await state(it, 'a=10.96.0.8');
  it.write('n.json', node('me', 'zone-1'));
  await until('the Node', () => it.store.node?.zone === 'zone-1');
});

test('a file that is replaced by another one under its name is never seen missing', async () => {
  await using it = setup({ 'a.yaml': service('a', '10.96.0.1'), 'b.yaml': service('b', '10.96.0.2') });
  await state(it, 'a=10.96.0.1 b=10.96.0.2');
  unlinkSync(join(it.folder, 'a.yaml'));
  it.write('a.yaml', service('a', '10.96.0.3'));
  await state(it, 'a=10.96.0.3 b=10.96.0.2');
  assert.deepEqual(it.states, ['a=10.96.0.1 b=10.96.0.2', 'a=10.96.0.3 b=10.96.0.2']);
});

test('all objects of a changed file reach the store in one step', async () => {
  await using it = setup({ 'a.yaml': service('a', '10.96.0.1') });
  await state(it, 'a=10.96.0.1');
  it.write(
    'a.yaml',
    `${service('b', '10.96.0.2')}---\n${service('c', '10.96.0.3')}---\n${slice('c', '10.244.0.1')}`,
  );
  await state(it, 'b=10.96.0.2 c=10.96.0.3');
  assert.equal(it.states.length, 2);
});

test('a broken file is reported with its place, and what it said before stays until it is repaired', async () => {
  await using it = setup({ 'a.yaml': service('a', '10.96.0.1'), 'b.yaml': service('b', '10.96.0.2') });
  await state(it, 'a=10.96.0.1 b=10.96.0.2');
  it.write('a.yaml', `${service('new', '10.96.0.5')}---\n${service('a', '10.96.0.1', 'eighty')}`);
  await until('the report', () => it.source.health().lastError !== undefined);
  it.write('b.yaml', service('b', '10.96.0.4'));
  await state(it, 'a=10.96.0.1 b=10.96.0.4');
  assert.match(
    it.problems.join('\n'),
    /a\.yaml:17: document 2: Service default\/a: spec\.ports\[0\]\.port: .*its last readable content stays in force/,
  );
  it.write('a.yaml', service('a', '10.96.0.6'));
  await state(it, 'a=10.96.0.6 b=10.96.0.4');
  assert.equal(it.source.health().lastError, undefined);
});

test('nothing is delivered before every file could be read once', async () => {
  await using it = setup({ 'a.yaml': service('a', '10.96.0.1'), 'broken.yaml': 'kind: [' });
  await until('the report', () => it.problems.length > 0);
  assert.deepEqual([it.store.synced, it.source.health().delivered, it.states], [false, false, []]);
  unlinkSync(join(it.folder, 'broken.yaml'));
  await state(it, 'a=10.96.0.1');
  assert.equal(it.store.synced, true);
});

test('a ConfigMap volume, which swaps a symbolic link, is followed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kube-ipvs-configmap-'));
  const version = (name: string, clusterIp: string): void => {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'a.yaml'), service('a', clusterIp));
  };
  version('..1', '10.96.0.1');
  symlinkSync('..1', join(folder, '..data'));
  symlinkSync('..data/a.yaml', join(folder, 'a.yaml'));
  {
    await using it = setup({}, { path: () => folder });
    await state(it, 'a=10.96.0.1');
    version('..2', '10.96.0.2');
    symlinkSync('..2', join(folder, '..new'));
    renameSync(join(folder, '..new'), join(folder, '..data'));
    rmSync(join(folder, '..1'), { recursive: true });
    await state(it, 'a=10.96.0.2');
    assert.deepEqual(it.states, ['a=10.96.0.1', 'a=10.96.0.2']);
  }
  rmSync(folder, { recursive: true });
});

test('a single file is followed, also when it is replaced; when it vanishes, what it said stays', async () => {
  await using it = setup(
    { 'a.yaml': service('a', '10.96.0.1') },
    { path: (folder) => join(folder, 'a.yaml') },
  );
  await state(it, 'a=10.96.0.1');
  it.write('new', service('a', '10.96.0.2'));
  renameSync(join(it.folder, 'new'), join(it.folder, 'a.yaml'));
  await state(it, 'a=10.96.0.2');
  unlinkSync(join(it.folder, 'a.yaml'));
  await until('the report', () => it.source.health().lastError !== undefined);
  assert.equal(it.states.at(-1), 'a=10.96.0.2');
  it.write('a.yaml', service('a', '10.96.0.3'));
  await state(it, 'a=10.96.0.3');
});

test('a single broken file stays reported until it is repaired, however often it is looked at', async () => {
  await using it = setup(
    { 'a.yaml': service('a', '10.96.0.1') },
    { path: (folder) => join(folder, 'a.yaml') },
  );
  await state(it, 'a=10.96.0.1');
  it.write('a.yaml', 'kind: [');
  await until('the report', () => it.problems.length === 1);
  // A changed file is looked at, and read once it has not changed again.
  it.write('a.yaml', 'kind: {');
  await until('the next report', () => it.problems.length === 2);
  assert.deepEqual([it.resolved, it.source.counts().manifests?.broken], [[], 1]);
  it.write('a.yaml', service('a', '10.96.0.2'));
  await state(it, 'a=10.96.0.2');
  assert.deepEqual([it.resolved, it.source.counts().manifests?.broken], [[join(it.folder, 'a.yaml')], 0]);
});

test('a change that nobody tells of is found by looking now and then', async () => {
  const outside = mkdtempSync(join(tmpdir(), 'kube-ipvs-outside-'));
  writeFileSync(join(outside, 'real.yaml'), service('a', '10.96.0.1'));
  {
    await using it = setup({}, { pollMilliseconds: 30 });
    symlinkSync(join(outside, 'real.yaml'), join(it.folder, 'a.yaml'));
    await state(it, 'a=10.96.0.1');
    writeFileSync(join(outside, 'real.yaml'), service('a', '10.96.0.2'));
    await state(it, 'a=10.96.0.2');
  }
  rmSync(outside, { recursive: true });
});

test('a folder that does not exist yet is waited for', async () => {
  await using it = setup({}, { path: (folder) => join(folder, 'later') });
  await until('the report', () => it.problems.length > 0);
  assert.equal(it.store.synced, false);
  mkdirSync(join(it.folder, 'later'));
  writeFileSync(join(it.folder, 'later', 'a.yaml'), service('a', '10.96.0.1'));
  await state(it, 'a=10.96.0.1');
});
