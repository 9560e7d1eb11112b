import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PageRealServersResponse, PageSample } from '../../src/admin-api/page.js';
import type { ServiceReportResponse } from '../../src/admin-api/responses.js';
import { explainService } from '../../src/web/model/explain.js';
import { pageObjects, startPageNode, type PageNode } from '../support/page-node.js';

const read = async <T>(node: PageNode, path: string): Promise<T> =>
  (await (await fetch(`${node.url}${path}`)).json()) as T;

const firstSample = async (node: PageNode): Promise<PageSample> => {
  const { body } = await fetch(`${node.url}/web/stream`);
  let text = '';
  for await (const bytes of body ?? []) {
    text += Buffer.from(bytes).toString();
    const found = /^event: sample\ndata: (.*)$/m.exec(text);
    if (found?.[1] !== undefined) return JSON.parse(found[1]) as PageSample;
  }
  throw new Error('the stream ended');
};

const explain = async (node: PageNode, service: string) => {
  const report = await read<ServiceReportResponse>(node, `/web/service?service=${service}`);
  const counters = await read<PageRealServersResponse>(node, `/web/real-servers?service=${service}`);
  const { status } = await firstSample(node);
  return { ...explainService(report, counters, status), report, counters, status };
};

test('the page explains a Service as the command does', async () => {
  await using node = await startPageNode(pageObjects(6));
  const { verdict, sections } = await explain(node, 'shop/web');
  assert.equal(verdict.mark, 'ok');
  assert.equal(
    verdict.text,
    'all 2 virtual servers of shop/web are in the kernel as desired, with 6 active connections',
  );
  assert.deepEqual(
    sections.map(({ id }) => id),
    ['service', 'endpoints', 'kernel', 'packet-rules', 'daemon'],
  );
});

test('it finds what is wrong: no endpoints, a missing virtual server, packet rules that are not in force', async () => {
  await using node = await startPageNode(pageObjects(6));
  const grafana = await explain(node, 'monitoring/grafana');
  assert.notEqual(grafana.verdict.mark, 'ok');
  const { report, counters, status } = await explain(node, 'shop/web');
  const [first, ...others] = report.virtualServers;
  assert.ok(first !== undefined);
  const { kernel: _, ...missing } = first;
  const broken = explainService({ ...report, virtualServers: [missing, ...others] }, counters, status);
  assert.equal(broken.verdict.mark, 'fail');
  assert.match(broken.verdict.text, /is not in the kernel/);
  const packetRules = { IPv4: { inForce: false, trouble: 'refused' } };
  assert.match(
    explainService(report, counters, { ...status, packetRules }).verdict.text,
    /the packet rules for IPv4 are not in force: refused/,
  );
});
