import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DaemonProcess } from '../support/daemon-process.js';
import { thisNode } from '../support/objects.js';
import { groupBy } from './group.js';
import { cases, configText, settings, type Case, type Family, type Setting } from './matrix.js';
import type { Transport } from './messages.js';
import { daemonResponse, healthResponse, type Position, type TwoNodeNetwork } from './network.js';
import { healthPortOf, nodeAddresses, nodeObject, sourceOf, target, worldOf } from './world.js';

/** Requests of one position to one frontend, and what is expected of them. */
interface Probe {
  readonly of: string;
  readonly frontend: string;
  readonly family: Family;
  readonly transport: Transport;
  readonly from: Position;
  readonly address: string;
  readonly port: number;
  readonly expected: readonly string[];
  /** The sources that the node's own requests may have. */
  readonly ownSources: readonly string[];
}

/** What became of it, in the words of the matrix. */
export interface Finding extends Probe {
  readonly seen: readonly string[];
  readonly ok: boolean;
}

export const healthCheckPorts: readonly number[] = cases.map((_, index) => healthPortOf(index));

/** Its node port makes kube-ipvs leave the ports from 20000 to 32767 to the clients. */
const divider = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace: 'default', name: 'divider' },
  spec: {
    type: 'NodePort',
    clusterIP: '10.96.255.250',
    clusterIPs: ['10.96.255.250'],
    ipFamilies: ['IPv4'],
    ports: [{ protocol: 'TCP', port: 9, nodePort: 20_000 }],
  },
};

const isMasqueradePort = (port: number): boolean => port >= 1_024 && (port < 20_000 || port > 32_767);

const patient = 3_000;
/** Where no answer is expected. */
const impatient = 700;

/** A daemon in the namespace of the node that follows these objects. */
export const startOnNode = (
  objects: readonly object[],
  setting: Omit<Setting, 'about'>,
  hostname: string,
  ...flags: readonly string[]
): DaemonProcess => {
  const scratch = mkdtempSync(join(tmpdir(), 'matrix-'));
  const manifest = join(scratch, 'world.json');
  const configFile = join(scratch, 'config.yaml');
  writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [...objects, divider] }));
  writeFileSync(configFile, configText(setting, hostname));
  return new DaemonProcess([`--source=${manifest}`, `--config=${configFile}`, ...flags], {
    namespace: 'node',
  });
};

/** Gives the kernel what these objects ask for, by one run of the daemon. */
export const program = async (...input: Parameters<typeof startOnNode>): Promise<void> => {
  await using daemon = startOnNode(...input, '--once');
  const status = await daemon.ended();
  if (status !== 0) throw new Error(`kube-ipvs --once ended with ${status}\n${daemon.log}`);
};

/** In the words of the matrix. */
const wordOf = (answer: string, { from, family, transport, expected, ownSources }: Probe): string => {
  if (answer === healthResponse) return 'health';
  if (answer === daemonResponse) return 'daemon';
  const [pod = '', source, port, lost] = answer.split(' ');
  if (source === undefined) return answer;
  if (expected.includes(`${pod}:any`)) return `${pod}:any`;
  const hasMasqueradedPort = transport !== 'sctp' && isMasqueradePort(Number(port));
  const is = (word: string): boolean => {
    if (word === 'node' && pod === 'node') return false;
    if (word === 'own' && from === 'node') return false;
    if (word === 'vip') return ownSources.includes(source) && !hasMasqueradedPort;
    return sourceOf(word, pod, from, family) === source;
  };
  // One address may have two words: the expected one is right.
  const candidates = ['vip', 'own', 'node'].filter(is);
  const word =
    candidates.find((one) => expected.some((cell) => cell.startsWith(`${pod}:${one}`))) ??
    candidates[0] ??
    source;
  if (lost !== undefined) return `${pod}:${word}:lost`;
  return word === 'node' && !isMasqueradePort(Number(port))
    ? `${pod}:node (from port ${port}, not masqueraded as it should)`
    : `${pod}:${word}`;
};

/** What can be seen of an expectation: without an answer, only servers of UDP tell that a request came. */
const visible = (word: string, { transport }: Probe): string =>
  word.endsWith(':lost') && transport !== 'udp' ? 'timeout' : word;

const same = (some: readonly string[], others: readonly string[]): boolean =>
  some.toSorted().join() === others.toSorted().join();

const findingOf = async (network: TwoNodeNetwork, probe: Probe): Promise<Finding> => {
  const expected = [...new Set(probe.expected.map((word) => visible(word, probe)))];
  const silent = expected.filter((word) => word === 'timeout' || word.endsWith(':lost'));
  const single = silent.length === expected.length || probe.transport === 'ping';
  const { answers, unanswered } = await network.ask(probe.from, {
    protocol: probe.transport,
    address: probe.address,
    port: probe.port,
    patience: silent.length > 0 ? impatient : patient,
    least: single ? expected.length : Math.max(expected.length, 2),
    distinct: expected.length,
    most: 8,
    pastTimeout: silent.length > 0,
  });
  const lost = unanswered.map(({ by, source }) => `${by} ${source} 0 lost`);
  const seen = new Set(answers.map((answer) => wordOf(answer, probe)));
  for (const answer of lost) seen.add(wordOf(answer, probe));
  const silences = answers.filter((answer) => answer === 'timeout').length;
  if (lost.length > 0 && lost.length === silences) seen.delete('timeout');
  return { ...probe, seen: [...seen], ok: same([...seen], expected) };
};

/** Of a VIP and, as one binding of IPv6 VIPs has it, of the node. */
const ownSourcesOf = (
  address: string,
  frontend: string,
  family: Family,
  setting: string,
): readonly string[] => {
  const isVip = !frontend.startsWith('node');
  if (isVip && family === 'IPv6' && settings[setting]?.vipBinding === 'route')
    return Object.values(nodeAddresses).map((addresses) => addresses.IPv6);
  return [address];
};

const probesOf = (one: Case, index: number, setting: string): readonly Probe[] =>
  one.rows
    .filter((row) => row.settings.includes(setting))
    .flatMap(({ frontends, families, transports, cells }) =>
      frontends.flatMap((frontend) =>
        families.flatMap((family) => {
          const [address, port] = target(one, index, frontend, family);
          return transports.flatMap((transport) =>
            [...cells].map(([from, expected]) => ({
              of: one.name,
              frontend,
              family,
              transport,
              from,
              address,
              port: transport === 'ping' ? 0 : port,
              expected,
              ownSources: ownSourcesOf(address, frontend, family, setting),
            })),
          );
        }),
      ),
    );

/**
 * Cases asked at the same time, for each protocol and family. The frontends of one, which may share a virtual server, are
 * asked one after the other, from one position after the other, so that its endpoints take turns.
 */
const width = 24;

const findingsOf = async (network: TwoNodeNetwork, probes: readonly Probe[]): Promise<readonly Finding[]> => {
  const targets = [...groupBy(probes, ({ of, family, transport }) => `${transport} ${family} ${of}`)];
  const found = new Map<Probe, Finding>();
  const worker = async (): Promise<void> => {
    for (let next = targets.shift(); next !== undefined; next = targets.shift())
      for (const probe of next) found.set(probe, await findingOf(network, probe));
  };
  await Promise.all(Array.from({ length: width }, worker));
  return probes.flatMap((probe) => found.get(probe) ?? []);
};

/** Programs the node with this setting and sends the requests of all its rows. */
export const runSetting = async (network: TwoNodeNetwork, name: string): Promise<readonly Finding[]> => {
  const setting = settings[name];
  if (setting === undefined) throw new Error(`no setting ${name}`);
  await program([nodeObject(thisNode), ...worldOf(cases)], setting, thisNode);
  return findingsOf(
    network,
    cases.flatMap((one, index) => probesOf(one, index, name)),
  );
};
