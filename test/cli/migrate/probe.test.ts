import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { answeringTargets, startProbe, type Probe } from '../../../src/cli/migrate/probe.js';
import { defaultProbeTargets, parseProbeTarget, portsOf } from '../../../src/cli/migrate/probe-target.js';
import { UsageError } from '../../../src/config/parse-flags.js';
import { service } from '../../support/doctor-facts.js';
import { until } from '../../support/eventually.js';

test('targets are read from URLs', () => {
  assert.deepEqual(parseProbeTarget('tcp://10.96.0.1:443'), {
    url: 'tcp://10.96.0.1:443',
    kind: 'tcp',
    host: '10.96.0.1',
    port: 443,
  });
  assert.deepEqual(parseProbeTarget('tcp://[fd00::1]:53').host, 'fd00::1');
  assert.equal(parseProbeTarget('http://10.96.0.10/healthz').port, 80);
  for (const wrong of ['10.96.0.1:443', 'https://10.96.0.1/', 'tcp://10.96.0.1', 'udp://10.96.0.10:53', ''])
    assert.throws(() => parseProbeTarget(wrong), UsageError, wrong);
});

test('without --probe, the first TCP port of each Service is a target, in the order of their names', () => {
  const services = [
    service('default/web', { clusterIPs: ['10.96.0.20', 'fd00:96::20'], ports: ['http:80', 'more:81'] }),
    service('default/dns', { clusterIPs: ['10.96.0.10'], ports: ['dns:53/UDP', 'tcp:54'] }),
    service('default/log', { clusterIPs: ['10.96.0.30'], ports: ['log:514/UDP'] }),
  ];
  assert.deepEqual(
    defaultProbeTargets(services).map(({ url }) => url),
    ['tcp://10.96.0.10:54', 'tcp://10.96.0.20:80', 'tcp://[fd00:96::20]:80'],
  );
  const many = Array.from({ length: 30 }, (_, index) =>
    service(`default/s${index}`, { clusterIPs: [`10.96.1.${index}`], ports: ['http:80'] }),
  );
  assert.equal(defaultProbeTargets(many).length, 20);
});

test('two targets never use the same source port', () => {
  const parts = [0, 1, 2].map((index) => portsOf({ first: 32_768, last: 60_999 }, index, 3));
  assert.deepEqual(parts[0], { first: 32_768, last: 42_177 });
  for (const [index, { first }] of parts.entries())
    if (index > 0) assert.equal(first, (parts[index - 1]?.last ?? 0) + 1);
  assert.ok((parts[2]?.last ?? 0) <= 60_999);
});

const requested = (probe: Probe, number: number) =>
  until(`${number} requests`, () => probe.counts.every(({ requests }) => requests >= number));

test('requests go on until the end, and those that fail are counted', async () => {
  let status = 200;
  const server = createServer((_, response) => {
    response.statusCode = status;
    response.end('ok');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const urls = [`http://127.0.0.1:${port}/`, `tcp://127.0.0.1:${port}`].map(parseProbeTarget);
  const closed = parseProbeTarget('tcp://127.0.0.1:1');
  assert.deepEqual(await answeringTargets([...urls, closed]), urls);
  {
    await using probe = startProbe(urls, { maximumFailures: 2 });
    await requested(probe, 3);
    assert.deepEqual(
      probe.counts.map(({ failed }) => failed),
      [0, 0],
    );
    status = 503;
    await until('more requests fail than are allowed', () => probe.exceeded.aborted);
    assert.match(probe.failures[0] ?? '', /http:\/\/127\.0\.0\.1:\d+\/: the server answered 503$/);
    assert.ok((probe.counts[0]?.failed ?? 0) > 2);
    assert.equal(probe.counts[1]?.failed, 0);
  }
  server.close();
});

test('a source port that another connection uses is no failure', async () => {
  let attempts = 0;
  const target = parseProbeTarget('tcp://10.96.0.1:443');
  const busy = Object.assign(new Error('in use'), { code: 'EADDRINUSE' });
  await using probe = startProbe([target], {
    maximumFailures: 0,
    send: async () => {
      attempts += 1;
      if (attempts % 2 === 1) throw busy;
    },
  });
  await requested(probe, 2);
  assert.deepEqual(probe.failures, []);
  assert.ok(attempts >= 4);
});
