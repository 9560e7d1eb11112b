import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import type { PageChunk, PageRealServersResponse, PageSample } from '../../../src/admin-api/page.js';
import type { ServiceReportResponse } from '../../../src/admin-api/responses.js';
import { maximumStreams } from '../../../src/daemon/page/page-sampler.js';
import { eventually } from '../../support/eventually.js';
import { loseEndpoint, pageObjects, startPageNode, type PageNode } from '../../support/page-node.js';

type Event =
  | { readonly name: 'chunk'; readonly data: PageChunk }
  | { readonly name: 'sample'; readonly data: PageSample };

/** The events of a stream, until it is closed. */
class Stream {
  readonly #controller = new AbortController();
  readonly #events: AsyncGenerator<Event>;

  constructor(url: string) {
    this.#events = this.#read(url);
  }

  /** The chunks up to the next sample, and the sample. */
  async nextSample(): Promise<{ readonly chunks: readonly PageChunk[]; readonly sample: PageSample }> {
    const chunks: PageChunk[] = [];
    for (;;) {
      const { value } = (await this.#events.next()) as { readonly value: Event };
      if (value.name === 'sample') return { chunks, sample: value.data };
      chunks.push(value.data);
    }
  }

  close(): void {
    this.#controller.abort();
  }

  async *#read(url: string): AsyncGenerator<Event> {
    const { body } = await fetch(`${url}/web/stream`, { signal: this.#controller.signal });
    let text = '';
    for await (const bytes of body ?? []) {
      text += Buffer.from(bytes).toString();
      const parts = text.split('\n\n');
      text = parts.pop() ?? '';
      for (const part of parts) {
        const [, name = '', data = ''] = /^event: (.*)\ndata: (.*)$/.exec(part) ?? [];
        yield { name, data: JSON.parse(data) as unknown } as Event;
      }
    }
  }
}

/** A request with any Host and method. */
const ask = (
  { url }: PageNode,
  path: string,
  options: { readonly method?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<{ readonly status: number; readonly headers: NodeJS.Dict<string | string[]> }> =>
  new Promise((resolve, reject) => {
    const sent = request(`${url}${path}`, options, (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, headers: response.headers });
    });
    sent.on('error', reject).end();
  });

test('every response of the page has the security headers and no CORS header', async () => {
  await using node = await startPageNode(pageObjects(3));
  for (const path of [
    '/',
    '/web/page.js',
    '/web/page.css',
    '/web/service?service=shop/web',
    '/web/unknown',
  ]) {
    const { status, headers } = await ask(node, path);
    assert.equal(status, path === '/web/unknown' ? 404 : 200, path);
    const policy = String(headers['content-security-policy']);
    assert.match(
      policy,
      /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;/,
    );
    assert.doesNotMatch(policy, /unsafe|\*/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
    assert.equal(headers['access-control-allow-origin'], undefined);
  }
});

test('other hosts, sites and methods are refused, for data too; other paths of the port are as before', async () => {
  await using node = await startPageNode(pageObjects(3));
  for (const path of [
    '/',
    '/web/stream',
    '/web/service?service=shop/web',
    '/web/real-servers?service=shop/web',
  ]) {
    assert.equal((await ask(node, path, { headers: { host: 'evil.example' } })).status, 421, path);
    assert.equal((await ask(node, path, { headers: { 'sec-fetch-site': 'cross-site' } })).status, 403, path);
    assert.equal((await ask(node, path, { method: 'POST' })).status, 405, path);
  }
  assert.equal((await ask(node, '/web/stream', { method: 'HEAD' })).status, 405);
  assert.equal((await ask(node, '/proxyMode', { headers: { host: 'node-1' } })).status, 200);
  assert.equal(node.reads.open, 0);
});

test('unknown files and paths out of the folder are 404; an unchanged file is 304', async () => {
  await using node = await startPageNode(pageObjects(1));
  for (const path of ['/web/', '/web/..%2f..%2fpackage.json', '/web/../kube-ipvs.js', '/web/constructor'])
    assert.equal((await ask(node, path)).status, 404, path);
  const { headers } = await ask(node, '/');
  const again = await ask(node, '/', { headers: { 'if-none-match': String(headers['etag']) } });
  assert.equal(again.status, 304);
});

test('page.enabled: false turns the page off, in a running daemon', async () => {
  await using node = await startPageNode(pageObjects(1));
  assert.equal((await ask(node, '/')).status, 200);
  node.settings.replace({ ...node.settings.now, pageEnabled: false });
  assert.equal((await ask(node, '/')).status, 404);
  assert.equal((await ask(node, '/web/stream')).status, 404);
});

test('the first page starts the sampler, several share it, and the last one ends it', async () => {
  await using node = await startPageNode(pageObjects(5));
  assert.deepEqual(node.reads, { counters: 0, open: 0 });
  const first = new Stream(node.url);
  await first.nextSample();
  assert.deepEqual(node.reads, { counters: 1, open: 1 });
  const second = new Stream(node.url);
  const { chunks } = await second.nextSample();
  assert.equal(node.reads.counters, 1, 'the second page gets the last sample');
  assert.equal(chunks.flatMap(({ servers }) => servers).length, 8);
  await Promise.all([first.nextSample(), second.nextSample()]);
  assert.deepEqual(node.reads, { counters: 2, open: 1 });
  first.close();
  await second.nextSample();
  second.close();
  await eventually(() => assert.equal(node.reads.open, 0));
  const { counters } = node.reads;
  const third = new Stream(node.url);
  await third.nextSample();
  assert.equal(node.reads.counters, counters + 1);
  third.close();
});

test('a page gets everything first, then changes: drains and removed virtual servers', async () => {
  const objects = pageObjects(5);
  await using node = await startPageNode(objects);
  const stream = new Stream(node.url);
  const start = await stream.nextSample();
  const servers = start.chunks.flatMap((chunk) => chunk.servers);
  const dns = servers.filter(({ service }) => service === 'kube-system/dns');
  assert.deepEqual(dns.map(({ key }) => key).toSorted(), ['TCP 10.96.0.4:53', 'UDP 10.96.0.4:53']);
  assert.equal(start.sample.status.counts.services, 5);
  const [web, cart] = objects.slices;
  assert.ok(web !== undefined && cart !== undefined);
  loseEndpoint(node, web);
  let drains: PageSample['drains'] = [];
  const changed = new Set<string>();
  while (drains.length < 2) {
    const next = await stream.nextSample();
    for (const server of next.chunks.flatMap((chunk) => chunk.servers)) changed.add(server.service ?? '');
    ({ drains } = next.sample);
  }
  assert.deepEqual([...changed], ['shop/web'], 'nothing else changed');
  assert.deepEqual(
    drains.map(({ realServer, service, pod, reason }) => [realServer, service, pod, reason]),
    [
      ['10.1.0.1:8080', 'shop/web', 'shop/web-7d9c-1', 'gone'],
      ['10.1.0.1:8080', 'shop/web', 'shop/web-7d9c-1', 'gone'],
    ],
  );
  stream.close();
});

test('the detail of a Service: the report of the admin API, and its real servers with counters', async () => {
  await using node = await startPageNode(pageObjects(3));
  const read = async (path: string) => (await fetch(`${node.url}${path}`)).json() as unknown;
  const report = (await read('/web/service?service=shop%2Fweb')) as ServiceReportResponse;
  assert.equal(report.service.name, 'shop/web');
  assert.equal(report.endpointCount, 3);
  const { virtualServers } = (await read('/web/real-servers?service=shop%2Fweb')) as PageRealServersResponse;
  assert.deepEqual(Object.keys(virtualServers).toSorted(), ['TCP 10.96.0.1:8080', 'TCP 192.0.2.80:8080']);
  assert.deepEqual(
    virtualServers['TCP 10.96.0.1:8080']
      ?.map(({ key, weight, active }) => [key, weight, active] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
    [1, 2, 3].map((host) => [`10.1.0.${host}:8080`, 1, 1]),
  );
  assert.equal(node.reads.open, 0, 'the socket is closed again');
  assert.equal((await ask(node, '/web/service?service=no/such')).status, 404);
});

test('too many pages are refused', async () => {
  await using node = await startPageNode(pageObjects(1));
  const streams = Array.from({ length: maximumStreams }, () => new Stream(node.url));
  await Promise.all(streams.map((stream) => stream.nextSample()));
  assert.equal((await ask(node, '/web/stream')).status, 503);
  for (const stream of streams) stream.close();
  await eventually(() => assert.equal(node.reads.open, 0));
});
