// virtual time: what is tested waits, gives up and tries again.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { ApiObject, Kind } from './api-objects.js';
import { ApiServer } from './api-server.js';
import { createAuthority, createCertificate } from './certificates.js';
import { until } from './eventually.js';

interface Recording {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const folder = new URL('../../../test/fixtures/api-recordings/', import.meta.url);

const recording = (name: string): Recording =>
  JSON.parse(readFileSync(new URL(`${name}.json`, folder), 'utf8')) as Recording;

/** Headers whose value depends on the moment or the machine: only that they are there counts. */
const variable = new Set([
  'audit-id',
  'date',
  'content-length',
  'x-kubernetes-pf-flowschema-uid',
  'x-kubernetes-pf-prioritylevel-uid',
]);

const comparable = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => name !== 'connection' && name !== 'keep-alive')
      .map(([name, value]) => [name, variable.has(name) ? 'any' : value]),
  );

/** The recorded objects, as they were when the recording began. */
const recordedItems = (kind: Kind, list: string): ApiObject[] =>
  (JSON.parse(recording(list).body) as { items: ApiObject[] }).items.map((item) => ({ ...item, kind }));

interface Got extends Recording {
  readonly headers: Readonly<Record<string, string>>;
}

const get = async (server: ApiServer, path: string, init: RequestInit = {}): Promise<Got> => {
  const response = await fetch(`${server.url}${path}`, init);
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: await response.text(),
  };
};

const sameFrame = (got: Got, name: string): void => {
  const { status, headers } = recording(name);
  assert.equal(got.status, status, name);
  assert.deepEqual(comparable(got.headers), comparable(headers), name);
};

/** Kind of value at each path of an object, versions and other moments left out: the shape of an answer. */
const shape = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(shape);
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, shape(field)]));
};

const services = '/api/v1/services';
const slices = '/apis/discovery.k8s.io/v1/endpointslices';
const selector =
  'labelSelector=!service.kubernetes.io%2Fheadless%2C!service.kubernetes.io%2Fservice-proxy-name';

/** Replaces what the server itself gives to an object, so that recorded and served ones compare. */
const withoutIdentity = (text: string): unknown =>
  JSON.parse(
    text
      .replaceAll(/"resourceVersion":"\d+"/g, '"resourceVersion":"N"')
      .replaceAll(/"continue":"[^"]+"/g, '"continue":"TOKEN"'),
  );

test('lists, whole and in pages, are what the real server sends', async () => {
  await using server = await ApiServer.start();
  server.put(...recordedItems('Service', 'services-list'));
  server.put(...recordedItems('EndpointSlice', 'endpointslices-list'));

  const whole = await get(server, `${services}?${selector}&resourceVersion=0`);
  sameFrame(whole, 'services-list');
  assert.deepEqual(withoutIdentity(whole.body), withoutIdentity(recording('services-list').body));

  const sliceList = await get(server, `${slices}?${selector}&resourceVersion=0`);
  sameFrame(sliceList, 'endpointslices-list');
  assert.deepEqual(withoutIdentity(sliceList.body), withoutIdentity(recording('endpointslices-list').body));

  const page1 = await get(server, `${services}?${selector}&limit=3`);
  sameFrame(page1, 'services-list-page-1');
  assert.deepEqual(withoutIdentity(page1.body), withoutIdentity(recording('services-list-page-1').body));

  const token = (JSON.parse(page1.body) as { metadata: { continue: string } }).metadata.continue;
  const page2 = await get(server, `${services}?${selector}&limit=3&continue=${token}`);
  sameFrame(page2, 'services-list-page-2');
  assert.deepEqual(withoutIdentity(page2.body), withoutIdentity(recording('services-list-page-2').body));
});

test('all items are listed whatever the size of the pages, and pages show one moment', async () => {
  await using server = await ApiServer.start();
  server.put(...recordedItems('Service', 'services-list'));
  const all = server.list('Service').map(({ metadata }) => metadata.name);
  const names: string[] = [];
  let token = '';
  do {
    const { body } = await get(server, `${services}?limit=2&continue=${token}`);
    const page = JSON.parse(body) as { metadata: { continue?: string }; items: ApiObject[] };
    names.push(...page.items.map(({ metadata }) => metadata.name));
    token = page.metadata.continue ?? '';
    if (names.length === 2) server.delete('Service', 'rec2/rec-6');
  } while (token !== '');
  assert.deepEqual(names, all);
});

test('refusals are what the real server sends', async () => {
  await using server = await ApiServer.start({ token: 'good' });
  const good = { headers: { authorization: 'Bearer good' } };
  const cases: readonly [path: string, name: string, init: RequestInit][] = [
    [services, 'unauthorized', {}],
    ['/apis/discovery.k8s.io/v9/endpointslices', 'not-found', good],
    [`${services}?limit=3&continue=broken`, 'services-list-bad-continue', good],
    [`${services}?resourceVersion=999999999&resourceVersionMatch=NotOlderThan`, 'list-rv-future', good],
  ];
  for (const [path, name, init] of cases) {
    const got = await get(server, path, init);
    sameFrame(got, name);
    const [status, recorded] = [JSON.parse(got.body), JSON.parse(recording(name).body)] as Record<
      string,
      unknown
    >[];
    assert.deepEqual(shape(status), shape(recorded), name);
    assert.deepEqual([status?.['reason'], status?.['code']], [recorded?.['reason'], recorded?.['code']]);
  }
});

const lines = (body: string): Record<string, unknown>[] =>
  body
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** Makes happen what a recorded event tells of. */
const replay = (
  server: ApiServer,
  { type, object }: { type: string; object: ApiObject },
  kind: Kind,
): void => {
  if (type === 'BOOKMARK') server.sendBookmarks();
  else if (type !== 'DELETED') server.put({ ...object, kind });
  else if (object.metadata.name === 'rec-1') {
    const labels = { 'service.kubernetes.io/service-proxy-name': 'other' };
    server.put({ ...object, metadata: { ...object.metadata, labels } });
  } else server.delete(kind, `${object.metadata.namespace ?? ''}/${object.metadata.name}`);
};

for (const [name, kind, path, list] of [
  ['services-watch', 'Service', services, 'services-list'],
  ['endpointslices-watch', 'EndpointSlice', slices, 'endpointslices-list'],
] as const)
  test(`${name}: the same changes give the same events, bookmarks too`, async () => {
    await using server = await ApiServer.start();
    const recorded = lines(recording(name).body) as { type: string; object: ApiObject }[];
    // The first EndpointSlice event is about an object that came between the list and the watch.
    server.put(
      ...recordedItems(kind, list).filter(
        ({ metadata }) => kind === 'Service' || metadata.name !== 'rec-6-x',
      ),
    );
    const answer = get(
      server,
      `${path}?${selector}&watch=true&allowWatchBookmarks=true&resourceVersion=${server.version}&timeoutSeconds=1`,
    );
    await until('the watch', () => server.openStreams === 1);
    for (const event of recorded) replay(server, event, kind);
    const got = await answer;
    sameFrame(got, name);
    assert.deepEqual(lines(got.body).map(withoutVersions), lines(recording(name).body).map(withoutVersions));
  });

const withoutVersions = (event: Record<string, unknown>): unknown => withoutIdentity(JSON.stringify(event));

for (const [name, kind, path] of [
  ['services-watchlist', 'Service', services],
  ['endpointslices-watchlist', 'EndpointSlice', slices],
] as const)
  test(`${name}: all objects, the end mark, then changes`, async () => {
    await using server = await ApiServer.start();
    const recorded = lines(recording(name).body) as { type: string; object: ApiObject }[];
    const mark = recorded.findIndex(({ type }) => type === 'BOOKMARK');
    server.put(...recorded.slice(0, mark).map(({ object }) => ({ ...object, kind })));
    const answer = get(
      server,
      `${path}?${selector}&watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1`,
    );
    await until('the watch', () => server.openStreams === 1);
    for (const event of recorded.slice(mark + 1)) replay(server, event, kind);
    const got = await answer;
    sameFrame(got, name);
    assert.deepEqual(lines(got.body).map(withoutVersions), lines(recording(name).body).map(withoutVersions));
  });

test('a watch from a forgotten version brings the ERROR event, one from the future nothing', async () => {
  await using server = await ApiServer.start();
  server.put(...recordedItems('Service', 'services-list'));
  server.compact();
  const old = await get(server, `${services}?watch=true&resourceVersion=1&timeoutSeconds=5`);
  sameFrame(old, 'watch-too-old');
  const [got, recorded] = [lines(old.body), lines(recording('watch-too-old').body)];
  assert.deepEqual(shape(got), shape(recorded));
  assert.match(JSON.stringify(got[0]), /"reason":"Expired","code":410/);

  const future = await get(server, `${services}?watch=true&resourceVersion=999999999&timeoutSeconds=1`);
  sameFrame(future, 'watch-future');
  assert.equal(future.body, recording('watch-future').body);
});

test('one Node, by name and by field selector, and the version', async () => {
  await using server = await ApiServer.start();
  const node = { ...(JSON.parse(recording('node-get').body) as ApiObject), kind: 'Node' as const };
  server.put(node, { ...node, metadata: { ...node.metadata, name: 'other' } });
  const one = await get(server, '/api/v1/nodes/uml1');
  sameFrame(one, 'node-get');
  assert.deepEqual(withoutIdentity(one.body), withoutIdentity(recording('node-get').body));
  const watch = await get(
    server,
    '/api/v1/nodes?watch=true&fieldSelector=metadata.name%3Duml1&timeoutSeconds=1',
  );
  sameFrame(watch, 'node-watch');
  assert.deepEqual(
    lines(watch.body).map(withoutVersions),
    lines(recording('node-watch').body).map(withoutVersions),
  );
  sameFrame(await get(server, '/version'), 'version');
});

test('an Event is taken and kept', async () => {
  await using server = await ApiServer.start();
  const { body } = recording('event-create');
  const got = await get(server, '/apis/events.k8s.io/v1/namespaces/default/events', {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  });
  sameFrame(got, 'event-create');
  assert.equal(server.events.length, 1);
});

test('it closes connections whose TLS handshake is not over', { timeout: 20_000 }, async () => {
  const { key, certificate: cert } = createCertificate(createAuthority('authority'), 'server');
  const server = await ApiServer.start({ tls: { key, cert } });
  const client = connect(server.port, '127.0.0.1');
  const closed = once(client, 'close');
  await once(client, 'connect');
  // Now the server has accepted it: it listens in this process.
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  await server[Symbol.asyncDispose]();
  await closed;
});
