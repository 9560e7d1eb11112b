// Runs in the lab: node ports with and without nodePorts.sharing, on two nodes by turns. Arguments: TRAFFIC ROUNDS PORTS ADDRESSES
// table|json, where TRAFFIC is the compiled scripts/benchmark/traffic.c; progress goes to standard error. A node is three network
// namespaces: the node itself, a client outside and a pod.
import { execFileSync } from 'node:child_process';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { run, runLine } from '../support/lab-guest.js';
import {
  firstNodePort,
  nodePortText,
  type NodePortFill,
  type NodePortMeasurements,
  type NodePortRun,
} from './node-port-report.js';

const [traffic = '', rounds = '5', ports = '5000', addresses = '8', format = 'table'] = process.argv.slice(2);
const fillProgram = fileURLToPath(new URL('./node-port-node.js', import.meta.url));
const pod = '10.244.0.12';
const client = '192.0.2.200';
// The node has one more address towards the pod.
const nodeAddresses = Array.from({ length: Number(addresses) - 1 }, (_, index) => `192.0.2.${index + 1}`);
const addedAddress = '192.0.2.100';
const measuredPort = firstNodePort + Number(ports) / 4;

const namespaceOf = (sharing: boolean): string => (sharing ? 'shared' : 'single');

const feed = (namespace: string, lines: readonly string[]): void => {
  execFileSync('ip', ['-netns', namespace, '-batch', '-'], {
    input: `${lines.join('\n')}\n`,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
};

/** Links a namespace to the node; the node has these addresses there. */
const addPeer = (node: string, name: string, address: string, own: readonly string[]): void => {
  runLine(`ip netns add ${node}-${name}`);
  feed(node, [
    `link add ${name} type veth peer name eth0 netns ${node}-${name}`,
    ...own.map((each) => `address add ${each}/32 dev ${name}`),
    `link set ${name} up`,
    `route add ${address} dev ${name}`,
  ]);
  const [gateway = ''] = own;
  feed(`${node}-${name}`, [
    'link set lo up',
    `address add ${address}/32 dev eth0`,
    'link set eth0 up',
    `route add ${gateway} dev eth0`,
    `route add default via ${gateway}`,
  ]);
};

const addNode = (sharing: boolean): NodePortFill => {
  const node = namespaceOf(sharing);
  process.stderr.write(`• node with sharing: ${sharing}\n`);
  runLine(`ip netns add ${node}`);
  runLine(`ip -netns ${node} link set lo up`);
  runLine(`ip netns exec ${node} sysctl -qw net.ipv4.ip_forward=1`);
  addPeer(node, 'client', client, nodeAddresses);
  addPeer(node, 'pod', pod, ['10.244.0.1']);
  const text = run(
    'ip',
    'netns',
    'exec',
    node,
    process.execPath,
    '--expose-gc',
    fillProgram,
    String(sharing),
    ports,
    addedAddress,
    pod,
  );
  // Entries of UDP flows end a second after a flow was silent, so that no run meets those of an earlier one.
  runLine(`ip netns exec ${node} ipvsadm --set 0 0 1`);
  return JSON.parse(text) as NodePortFill;
};

/** Waits until IPVS has forgotten all UDP flows, and makes the connection table forget them. */
const forgetFlows = (node: string): void => {
  while (runLine(`ip netns exec ${node} cat /proc/net/ip_vs_conn`).includes('UDP')) run('sleep', '0.2');
  runLine(`ip netns exec ${node} conntrack -F`);
};

const kinds = ['flow', 'connection', 'packet'] as const;
const firstPortOf = (kind: NodePortRun['kind'], round: number): number =>
  kind === 'connection' ? 2_000 + 1_000 * round : kind === 'flow' ? 20_000 : 0;

const measure = (sharing: boolean, kind: NodePortRun['kind'], round: number): NodePortRun => {
  const node = namespaceOf(sharing);
  const ends = [`${node}-client`, `${node}-pod`, client, String(firstPortOf(kind, round))];
  const to = [nodeAddresses.at(-1) ?? '', String(measuredPort), '8080'];
  const text = run(traffic, kind, ...ends, ...to);
  if (kind !== 'connection') forgetFlows(node);
  return { sharing, kind, microseconds: Number(text) };
};

const fills = [addNode(false), addNode(true)] as const;
// A kernel with modules has loaded them by now.
runLine('sysctl -qw net.netfilter.nf_conntrack_max=262144');
const runs: NodePortRun[] = [];
// The first round warms caches up, and does not count.
for (let round = 0; round <= Number(rounds); round += 1) {
  process.stderr.write(`• round ${round} of ${rounds}\n`);
  for (const kind of kinds)
    for (const sharing of [false, true]) {
      const one = measure(sharing, kind, round);
      if (round > 0) runs.push(one);
    }
}
const measurements: NodePortMeasurements = {
  kernel: release(),
  ports: Number(ports),
  addresses: Number(addresses),
  rounds: Number(rounds),
  fills,
  runs,
};
process.stdout.write(
  format === 'json' ? `${JSON.stringify(measurements, undefined, 2)}\n` : nodePortText(measurements),
);
