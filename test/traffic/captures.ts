import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { groupBy } from './group.js';
import { differences } from './matrix.js';
import { positions, type Position, type TwoNodeNetwork } from './network.js';
import { program } from './run.js';
import { nodeObject } from './world.js';

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
export const capturedHealthCheckPort = 32_010;

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
  });
  const seen = [...new Set(reply.answers.map(withoutPort))].toSorted();
  return { request: `${from} → ${target} ${protocol}`, expected: expected.toSorted(), seen };
};

/** Gives the node the objects of a capture and sends its requests. */
export const runCapture = async (
  network: TwoNodeNetwork,
  name: string,
): Promise<readonly CapturedFinding[]> => {
  const one = captured[name];
  if (one === undefined) throw new Error(`no capture ${name}`);
  await program([nodeObject(capturedNode), ...one.objects], config, capturedNode);
  const probes = positions.flatMap((from) =>
    Object.entries(one.outcome[from] ?? {}).flatMap(([target, byProtocol]) =>
      Object.entries(byProtocol).map(([protocol, answers]) => ({
        from,
        target,
        protocol,
        expected: expectedOf(name, from, target, protocol, answers),
      })),
    ),
  );
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
