import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { groupBy } from './group.js';
import { differences } from './matrix.js';
import { positions, type Position, type TwoNodeNetwork } from './network.js';
import { program, startOnNode } from './run.js';
import { nodeObject } from './world.js';
import { eventually } from '../support/daemon-process.js';
import { run } from '../support/lab-guest.js';

interface CapturedCase {
  readonly objects: readonly object[];
  /** Position → `ADDRESS:PORT` → `tcp` or `udp` → the distinct answers. */
  readonly outcome: Readonly<
    Record<string, Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>>
  >;
}

/** One position's requests to one target: what the real kube-proxy made of them, or what we do on purpose in its place, and what we make of them. */
export interface CapturedFinding {
  readonly request: string;
  readonly expected: readonly string[];
  readonly seen: readonly string[];
}

const file = fileURLToPath(new URL('../../../test/fixtures/traffic/kube-proxy.json', import.meta.url));
const captured = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, CapturedCase>>;

export const captureNames: readonly string[] = Object.keys(captured);
/** Of the case `lb-local`. */
const healthCheckPort = 32_010;

const capturedNode = 'uml1';
const config = { clusterCIDR: '10.128.0.0/16,fd00:10:128::/48' };

const isTransport = (word: string): word is 'tcp' | 'udp' => word === 'tcp' || word === 'udp';

const expectedOf = (
  name: string,
  from: Position,
  target: string,
  protocol: string,
  answers: readonly string[],
) => {
  const difference = differences.find(
    (each) =>
      each.case === name &&
      each.target === target &&
      each.protocol === protocol &&
      each.from.split(' ').includes(from) &&
      answers.join() === each.captured,
  );
  return difference === undefined ? answers : [difference.expected];
};

const addressAndPort = (target: string): readonly [string, number] => {
  const at = target.lastIndexOf(':');
  return [target.slice(0, at).replace(/^\[|\]$/g, ''), Number(target.slice(at + 1))];
};

/** A line that a pod answers ends with the port that it saw, which the captures leave out. */
const withoutPort = (answer: string): string => answer.replace(/^([abx] \S+) \d+$/, '$1');

/** Node answers by HTTP 1.1 also those who ask by 1.0. */
const withoutVersion = (answer: string): string => answer.replace(/^HTTP\/1\.1 /, 'HTTP/1.0 ');

interface CapturedProbe {
  readonly from: Position;
  readonly target: string;
  readonly protocol: string;
  readonly expected: readonly string[];
}

const findingOf = async (network: TwoNodeNetwork, probe: CapturedProbe): Promise<CapturedFinding> => {
  const { from, target, protocol, expected } = probe;
  if (!isTransport(protocol)) throw new Error(`no transport ${protocol}`);
  const [address, port] = addressAndPort(target);
  const reply = await network.ask(from, {
    protocol,
    address,
    port,
    patience: 3_000,
    least: 3,
    distinct: expected.length,
    most: 6,
    pastTimeout: false,
    ...(port === healthCheckPort && { say: 'GET / HTTP/1.0\r\n\r\n' }),
  });
  const seen = [...new Set(reply.answers.map((answer) => withoutVersion(withoutPort(answer))))].toSorted();
  return { request: `${from} → ${target} ${protocol}`, expected: expected.toSorted(), seen };
};

const listensOnNode = (port: number): boolean =>
  run('ip', 'netns', 'exec', 'node', 'ss', '-Hlnt').includes(`:${port} `);

/** Stays, so that health checks are answered; nothing where none is asked for. */
const healthCheckDaemon = async (
  probes: readonly CapturedProbe[],
  ...world: Parameters<typeof startOnNode>
): Promise<AsyncDisposable | undefined> => {
  if (!probes.some(({ target }) => target.endsWith(`:${healthCheckPort}`))) return undefined;
  const daemon = startOnNode(...world);
  await eventually(() => assert.ok(listensOnNode(healthCheckPort), daemon.log));
  return daemon;
};

/** Gives the node these objects and sends requests. */
const findingsWith = async (
  network: TwoNodeNetwork,
  objects: readonly object[],
  probes: readonly CapturedProbe[],
): Promise<readonly CapturedFinding[]> => {
  const world = [[nodeObject(capturedNode), ...objects], { config }, capturedNode] as const;
  await program(...world);
  await using _daemon = await healthCheckDaemon(probes, ...world);
  const ofTargets = groupBy(probes, ({ target, protocol }) => `${target} ${protocol}`).map(
    async (ofTarget) => {
      const findings: CapturedFinding[] = [];
      // One position after the other, so that the endpoints take turns.
      for (const probe of ofTarget) findings.push(await findingOf(network, probe));
      return findings;
    },
  );
  return (await Promise.all(ofTargets)).flat();
};

const captureOf = (name: string): CapturedCase => {
  const one = captured[name];
  if (one === undefined) throw new Error(`no capture ${name}`);
  return one;
};

/** Gives the node the objects of a capture and sends its requests. */
export const runCapture = (network: TwoNodeNetwork, name: string): Promise<readonly CapturedFinding[]> => {
  const { objects, outcome } = captureOf(name);
  const probes = positions.flatMap((from) =>
    Object.entries(outcome[from] ?? {}).flatMap(([target, byProtocol]) =>
      Object.entries(byProtocol).map(([protocol, answers]) => ({
        from,
        target,
        protocol,
        expected: expectedOf(name, from, target, protocol, answers),
      })),
    ),
  );
  return findingsWith(network, objects, probes);
};

/** Asks for the health check of the case `lb-local` on a node that has no endpoint of it. */
export const runHealthCheckElsewhere = (network: TwoNodeNetwork): Promise<readonly CapturedFinding[]> => {
  const text = JSON.stringify(captureOf('lb-local').objects);
  // The parsed text is that of objects.
  const objects = JSON.parse(
    text.replaceAll(`"nodeName":"${capturedNode}"`, '"nodeName":"other1"'),
  ) as object[];
  const probes = positions.flatMap((from) =>
    Object.keys(captureOf('lb-local').outcome[from] ?? {})
      .filter((target) => target.endsWith(`:${healthCheckPort}`))
      .map((target) => ({ from, target, protocol: 'tcp', expected: ['HTTP/1.0 503 Service Unavailable'] })),
  );
  return findingsWith(network, objects, probes);
};
