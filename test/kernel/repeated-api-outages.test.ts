// lab: --timeout 400
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { realServerText, weightsOf } from '../soak/kernel-table.js';
import type { ApiObject } from '../support/api-objects.js';
import { sampleNode, sampleService, sampleSlice } from '../support/api-samples.js';
import { ApiServer } from '../support/api-server.js';
import { DaemonProcess } from '../support/daemon-process.js';
import { elapse } from '../support/virtual-clock.js';

// Ten outages in a row, of all lengths and sorts: how long after the server answers again the first change of each resource is in
// the kernel, and what that costs the server. In virtual time: every patience is the real one.

const second = 1_000;
const minute = 60 * second;
const promised = 5 * second;
const virtualTime = fileURLToPath(new URL('../support/virtual-time.js', import.meta.url));
let server: ApiServer;
let daemon: DaemonProcess;
/** What changes in each round. */
let turn = 0;

const address = (service: number): string => `10.96.0.${service}`;

/** An endpoint for each zone; the Node's zone decides which of them serves. */
const zoned = (): ApiObject => {
  const slice = sampleSlice('zoned', ['10.244.1.1', '10.244.1.2']);
  const endpoints = (slice['endpoints'] as readonly object[]).map((endpoint, index) => ({
    ...endpoint,
    hints: { forZones: [{ name: index === 0 ? 'a' : 'b' }] },
  }));
  return { ...slice, endpoints };
};

/** Everything that there is in this turn: a port, an endpoint and a zone of its own. */
const objects = (): readonly ApiObject[] => [
  sampleService('ported', {
    clusterIP: address(1),
    clusterIPs: [address(1)],
    ports: [{ name: 'http', protocol: 'TCP', port: 1_000 + turn, targetPort: 8080 }],
  }),
  sampleSlice('ported', ['10.244.0.1']),
  sampleService('moved', { clusterIP: address(2), clusterIPs: [address(2)] }),
  sampleSlice('moved', [`10.244.2.${1 + turn}`]),
  sampleService('zoned', {
    clusterIP: address(3),
    clusterIPs: [address(3)],
    trafficDistribution: 'PreferClose',
  }),
  zoned(),
  sampleNode('n1', turn % 2 === 0 ? 'a' : 'b'),
];

const serves = (virtual: string, port: number, real: string): boolean =>
  (weightsOf(realServerText(real, 8080)).get(realServerText(virtual, port)) ?? 0) > 0;

/** By resource, whether what it says in this turn is in the kernel. */
const isThere: Readonly<Record<string, () => boolean>> = {
  services: () => serves(address(1), 1_000 + turn, '10.244.0.1'),
  endpointslices: () => serves(address(2), 80, `10.244.2.${1 + turn}`),
  nodes: () =>
    serves(address(3), 80, `10.244.1.${1 + (turn % 2)}`) &&
    !serves(address(3), 80, `10.244.1.${2 - (turn % 2)}`),
};

/** By resource, milliseconds until it is there. */
const untilThere = async (patience: number): Promise<Readonly<Record<string, number>>> => {
  const began = performance.now();
  const took: Record<string, number> = {};
  while (Object.keys(took).length < 3) {
    for (const [resource, check] of Object.entries(isThere))
      if (took[resource] === undefined && check()) took[resource] = Math.round(performance.now() - began);
    const passed = performance.now() - began;
    if (passed > patience)
      assert.fail(`${JSON.stringify(took)} within ${passed} ms\n${daemon.log.slice(-4_000)}`);
    await elapse(20);
  }
  return took;
};

interface Round {
  readonly what: string;
  readonly milliseconds: number;
  /** What the server answers before it is well; nothing: it does not run. */
  readonly answers?: { readonly status: number; readonly retryAfterSeconds?: number };
  /** For so long it denies everything when it is back, as long as its rules are not loaded. */
  readonly denies?: number;
  /** Whether what was followed is too old for it when it is back. */
  readonly expired: boolean;
}

const rounds: readonly Round[] = [
  { what: 'does not run', milliseconds: 20 * second, expired: true },
  { what: 'does not run', milliseconds: 70 * second, expired: true },
  { what: 'does not run, then denies', milliseconds: 40 * second, denies: 6 * second, expired: true },
  { what: '503', milliseconds: 2 * minute, answers: { status: 503 }, expired: false },
  { what: 'does not run', milliseconds: 5 * minute, expired: true },
  { what: '429', milliseconds: 90 * second, answers: { status: 429, retryAfterSeconds: 1 }, expired: true },
  { what: 'does not run', milliseconds: 3 * second, expired: false },
  { what: '403', milliseconds: 3 * minute, answers: { status: 403 }, expired: true },
  { what: 'does not run, then denies', milliseconds: 10 * minute, denies: 10 * second, expired: true },
  { what: 'does not run', milliseconds: 70 * second, expired: true },
];

const verbs = ['watch', 'watchlist', 'list', 'page'] as const;

const failAll = (status: number, retryAfterSeconds?: number): void =>
  server.fail({
    verb: verbs,
    times: Infinity,
    fault: { fault: 'status', status, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) },
  });

/** Another server in the place of the one before; it has what is to be in this turn. */
const begin = async (port: number, version: number): Promise<void> => {
  server = await ApiServer.start({ port });
  server.rewind(version);
};

/** What is new for those who followed until now, or too old. */
const change = (expired: boolean): void => {
  turn += 1;
  server.put(...objects());
  if (expired) server.compact();
};

const stop = async ({ milliseconds, denies, expired }: Round): Promise<void> => {
  const { port, version } = server;
  const last = [...server.list('Service'), ...server.list('EndpointSlice'), ...server.list('Node')];
  await server[Symbol.asyncDispose]();
  await elapse(milliseconds);
  await begin(port, expired ? version + 100 : version);
  if (!expired) server.put(...last);
  if (denies === undefined) return;
  failAll(403);
  await elapse(denies);
};

const answer = async ({ milliseconds, answers }: Round): Promise<void> => {
  assert.ok(answers);
  failAll(answers.status, answers.retryAfterSeconds);
  server.dropConnections();
  await elapse(milliseconds);
};

before(async () => {
  server = await ApiServer.start();
  server.put(...objects());
  daemon = new DaemonProcess([`--master=${server.url}`, '--hostname-override=n1'], {
    nodeArguments: ['--import', virtualTime],
  });
  await untilThere(2 * minute);
});
after(async () => {
  assert.equal(await daemon.stop(), 0, daemon.log.slice(-4_000));
  await server[Symbol.asyncDispose]();
});

for (const [index, round] of rounds.entries())
  test(`outage ${index + 1}: ${round.what}, ${round.milliseconds / second} s, ${round.expired ? 'all versions expired' : 'watches resume'}`, async () => {
    const told = daemon.log.length;
    await (round.answers === undefined ? stop(round) : answer(round));
    const during = server.requests.length;
    server.heal();
    change(round.expired);
    const took = await untilThere(2 * minute);
    await elapse(2 * second);
    const requests = server.requests.length - during;
    console.log(`${JSON.stringify(took)}, ${requests} requests, ${during} before in this server's life`);
    assert.ok(
      Math.max(...Object.values(took)) <= promised,
      `${JSON.stringify(took)}\n${daemon.log.slice(told)}`,
    );
    // A watch that resumes, or one that is refused and a list, of each resource; one more each that was denied just before.
    assert.ok(
      requests <= 9,
      server.requests
        .slice(during)
        .map(({ resource, verb }) => `${verb} ${resource}`)
        .join(),
    );
    assert.doesNotMatch(daemon.log.slice(told), /"level":"warn"[^\n]*too old resource version/);
  });
