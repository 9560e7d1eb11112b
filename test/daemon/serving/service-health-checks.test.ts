// virtual time: what is tested waits, gives up and tries again.
import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { IpAddress } from '../../../src/base/ip.js';
import { silentLogger } from '../../../src/base/log.js';
import type { ServiceKey } from '../../../src/model/service.js';
import type {
  HealthCheckAddresses,
  ServiceHealthCheck,
} from '../../../src/plan/render/service-health-check.js';
import { ServiceHealthChecks } from '../../../src/daemon/serving/service-health-checks.js';
import { eventually } from '../../support/daemon-process.js';
import { elapse } from '../../support/virtual-clock.js';

const loopback = '127.0.0.1' as IpAddress;
const other = '127.0.0.2' as IpAddress;

/** A port that nobody has. */
const freePort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
};

const setUp = () => {
  const troubles: string[] = [];
  let healthy = true;
  let addresses: HealthCheckAddresses = [loopback];
  const checks = new ServiceHealthChecks({
    healthy: () => healthy,
    onFailure: (service, port, trouble) => void troubles.push(`${service} ${port} ${trouble}`),
    log: silentLogger,
  });
  const check = (port: number, count: number): ServiceHealthCheck => ({
    port,
    localEndpoints: { IPv4: count },
  });
  const follow = (...changed: readonly [service: string, check: ServiceHealthCheck | undefined][]): void =>
    checks.update(new Map(changed.map(([service, value]) => [service as ServiceKey, value])), (family) =>
      family === 'IPv4' ? addresses : [],
    );
  return {
    checks,
    check,
    follow,
    troubles,
    setHealthy: (value: boolean): void => void (healthy = value),
    setAddresses: (value: HealthCheckAddresses): void => void (addresses = value),
  };
};

const ask = async (port: number, host: string = loopback, path = '/', method = 'GET') => {
  const response = await fetch(`http://${host}:${port}${path}`, { method });
  return { status: response.status, headers: response.headers, body: await response.text() };
};
const statusOf = async (port: number, host?: string): Promise<number> => (await ask(port, host)).status;
const refused = (port: number, host?: string): Promise<void> => assert.rejects(statusOf(port, host));

test('the answer is kube-proxy’s, whatever the path and the method', async () => {
  const { checks, check, follow, setHealthy } = setUp();
  await using _closed = checks;
  const port = await freePort();
  follow(['shop/web', check(port, 2)]);
  const { status, headers, body } = await eventually(() => ask(port));
  assert.equal(status, 200);
  assert.deepEqual(
    ['content-type', 'x-content-type-options', 'x-load-balancing-endpoint-weight'].map((name) =>
      headers.get(name),
    ),
    ['application/json', 'nosniff', '2'],
  );
  assert.equal(
    body,
    '{\n\t"service": {\n\t\t"namespace": "shop",\n\t\t"name": "web"\n\t},\n\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}',
  );
  assert.equal((await ask(port, loopback, '/any/where?x=y', 'POST')).status, 200);
  setHealthy(false);
  const unhealthy = await ask(port);
  assert.deepEqual([unhealthy.status, /"serviceProxyHealthy": false/.test(unhealthy.body)], [503, true]);
});

test('without local endpoints it is 503; a new port takes the place of the old one; a Service that goes takes its port along', async () => {
  const { checks, check, follow } = setUp();
  await using _closed = checks;
  const [one, two] = [await freePort(), await freePort()];
  follow(['web', check(one, 0)]);
  assert.equal(await eventually(() => statusOf(one)), 503);
  follow(['web', check(one, 1)]);
  assert.equal(await statusOf(one), 200);
  follow(['web', check(two, 1)]);
  assert.equal(await eventually(() => statusOf(two)), 200);
  await refused(one);
  follow(['web', undefined]);
  await refused(two);
});

test('a port that is in use is told of once; other Services are served; it is had as soon as it is free', async () => {
  const { checks, check, follow, troubles } = setUp();
  await using _closed = checks;
  const [taken, free] = [await freePort(), await freePort()];
  const stranger = createServer();
  await new Promise<void>((resolve) => stranger.listen(taken, loopback, resolve));
  follow(['a/stuck', check(taken, 1)], ['b/fine', check(free, 1)]);
  assert.equal(await eventually(() => statusOf(free)), 200);
  await eventually(() => assert.equal(troubles.length, 1));
  assert.match(
    troubles[0] ?? '',
    /^a\/stuck \d+ cannot listen at 127\.0\.0\.1:\d+: the port is in use .*EADDRINUSE/,
  );
  follow(['a/stuck', check(taken, 2)]);
  await elapse(2_500);
  assert.equal(troubles.length, 1);
  await new Promise((resolve) => stranger.close(resolve));
  assert.equal(await eventually(() => statusOf(taken), 10_000), 200);
});

test('a port goes from one Service to another, in one step and in two', async () => {
  const { checks, check, follow, troubles } = setUp();
  await using _closed = checks;
  const [one, two] = [await freePort(), await freePort()];
  const nameAt = async (port: number): Promise<string> =>
    (await ask(port)).body.match(/"name": "(.*)"/)?.[1] ?? '';
  follow(['x/a', check(one, 1)]);
  assert.equal(await eventually(() => nameAt(one)), 'a');
  follow(['x/b', check(one, 1)], ['x/a', check(two, 1)]);
  assert.equal(await eventually(() => nameAt(two)), 'a');
  assert.equal(await eventually(() => nameAt(one)), 'b');
  follow(['x/c', check(one, 1)]);
  await eventually(() => assert.equal(troubles.length, 1));
  follow(['x/b', undefined]);
  assert.equal(await eventually(() => nameAt(one), 500), 'c');
});

test('it follows the addresses of the node, and leaves alone what stays', async () => {
  const { checks, check, follow, setAddresses } = setUp();
  await using _closed = checks;
  const port = await freePort();
  follow(['web', check(port, 1)]);
  assert.equal(await eventually(() => statusOf(port)), 200);
  await refused(port, other);
  setAddresses([loopback, other]);
  follow();
  assert.equal(await eventually(() => statusOf(port, other)), 200);
  setAddresses([other]);
  follow();
  await refused(port);
  assert.equal(await statusOf(port, other), 200);
  setAddresses('all');
  follow();
  assert.equal(await eventually(() => statusOf(port)), 200);
});
