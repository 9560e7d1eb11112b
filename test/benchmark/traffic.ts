// Runs in the lab: sends traffic on several nodes by turns, and prints one line of JSON (TrafficMeasurements of
// traffic-report.ts); progress goes to standard error. Arguments: TRAFFIC ROUNDS SERVICES [in-cluster], where TRAFFIC is the
// compiled scripts/benchmark/traffic.c. A node is three network namespaces: the node itself and two pods.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run, runLine } from '../support/lab-guest.js';
import { local, ready, serviceObject, sliceObject } from '../support/objects.js';
import {
  inClusterNodes,
  trafficKinds,
  trafficNodes,
  type InClusterNode,
  type TrafficKind,
  type TrafficMeasurements,
  type TrafficNode,
  type TrafficRun,
} from './traffic-report.js';

type Node = TrafficNode | InClusterNode;

const [traffic = '', rounds = '5', services = '200', set = ''] = process.argv.slice(2);
const nodes: readonly Node[] = set === 'in-cluster' ? inClusterNodes : trafficNodes;
const program = fileURLToPath(new URL('../../../dist/kube-ipvs.js', import.meta.url));
const client = '10.244.0.11';
const server = '10.244.0.12';
const serverPort = 8080;
const servicePort = 80;
const addresses = Array.from(
  { length: Number(services) },
  (_, index) => `10.96.${index >> 8}.${index & 255}`,
);
/** The load balancer IP of a Service, by its ClusterIP. */
const loadBalancerIp = (address: string): string => address.replace(/^10\.96\./, '10.98.');
const measuredAddress = addresses[Math.floor(addresses.length / 2)] ?? '';

const onNode = (node: string, line: string): string => runLine(`ip netns exec ${node} ${line}`);
const feed = (command: string, args: readonly string[], lines: readonly string[]): void => {
  execFileSync(command, args, { input: `${lines.join('\n')}\n`, stdio: ['pipe', 'ignore', 'inherit'] });
};

const addPod = (node: string, name: string, address: string): void => {
  runLine(`ip netns add ${node}-${name}`);
  feed(
    'ip',
    ['-netns', node, '-batch', '-'],
    [
      `link add ${name} type veth peer name eth0 netns ${node}-${name}`,
      `address add 10.244.0.1/32 dev ${name}`,
      `link set ${name} up`,
      `route add ${address} dev ${name}`,
    ],
  );
  feed(
    'ip',
    ['-netns', `${node}-${name}`, '-batch', '-'],
    [
      'link set lo up',
      `address add ${address}/32 dev eth0`,
      'link set eth0 up',
      'route add 10.244.0.1 dev eth0',
      'route add default via 10.244.0.1',
    ],
  );
};

/** Its entries end a second after a flow was silent, so that no run meets those of an earlier one. */
const prepareIpvs = (node: string): void => {
  onNode(node, 'ipvsadm --set 0 0 1');
  onNode(node, 'sysctl -qw net.ipv4.vs.conntrack=1');
};

/** Linux tracks connections from the first rule on that needs it. No packet meets this one. */
const trackConnections = (node: string): void => {
  run(
    'ip',
    'netns',
    'exec',
    node,
    'nft',
    'add table ip track; add chain ip track unused; add rule ip track unused ct state new',
  );
};

const addNatChain = (node: string): void => {
  const chain = 'add chain ip track nat { type nat hook postrouting priority 100; }';
  run('ip', 'netns', 'exec', node, 'nft', chain);
};

const addServices = (node: string): void => {
  prepareIpvs(node);
  feed(
    'ip',
    ['netns', 'exec', node, 'ipvsadm', '--restore'],
    addresses.flatMap((address) =>
      ['-t', '-u'].flatMap((protocol) => [
        `-A ${protocol} ${address}:${servicePort} -s rr`,
        `-a ${protocol} ${address}:${servicePort} -r ${server}:${serverPort} -m`,
      ]),
    ),
  );
  feed(
    'ip',
    ['-netns', node, '-batch', '-'],
    [
      'link add kube-ipvs0 type dummy',
      ...addresses.map((address) => `address add ${address}/32 dev kube-ipvs0`),
    ],
  );
};

const startKubeIpvs = (node: string, items: readonly object[], ...flags: readonly string[]): void => {
  const manifest = join(tmpdir(), 'benchmark-services.json');
  writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  run(
    'ip',
    'netns',
    'exec',
    node,
    process.execPath,
    program,
    `--source=${manifest}`,
    '--once',
    '--hostname-override=n1',
    ...flags,
  );
  prepareIpvs(node);
};

const clusterIpServices = (): readonly object[] =>
  addresses.flatMap((clusterIP, index) => [
    serviceObject(`service-${index}`, {
      clusterIP,
      ports: [`http:${servicePort}`, `dns:${servicePort}/UDP`],
    }),
    sliceObject(`service-${index}`, [ready(server)], {
      ports: [`http:${serverPort}`, `dns:${serverPort}/UDP`],
    }),
  ]);

/** The endpoint on another node takes no connections, so that each one is answered here. */
const loadBalancerServices = (): readonly object[] => [
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'default', name: 'closed', annotations: { 'ipvs.kube-ipvs.dev/weight': '0' } },
  },
  ...addresses.flatMap((clusterIP, index) => [
    serviceObject(`service-${index}`, {
      type: 'LoadBalancer',
      clusterIP,
      ingress: [{ ip: loadBalancerIp(clusterIP) }],
      externalTrafficPolicy: 'Local',
      annotations: { 'ipvs.kube-ipvs.dev/weight-by': 'pod', 'ipvs.kube-ipvs.dev/scheduler': 'wrr' },
      ports: [`http:${servicePort}`, `dns:${servicePort}/UDP`],
    }),
    sliceObject(`service-${index}`, [local(ready(server)), ready('10.244.9.9', { pod: 'closed' })], {
      ports: [`http:${serverPort}`, `dns:${serverPort}/UDP`],
    }),
  ]),
];

const startInCluster = (node: string, inClusterEndpoints: InClusterNode): void => {
  const file = join(tmpdir(), `benchmark-${inClusterEndpoints}.yaml`);
  writeFileSync(
    file,
    [
      'apiVersion: kubeproxy.config.k8s.io/v1alpha1',
      'kind: KubeProxyConfiguration',
      'mode: ipvs',
      'clusterCIDR: 10.244.0.0/16',
      '---',
      'apiVersion: kube-ipvs.dev/v1alpha1',
      'kind: KubeIpvsConfiguration',
      'externalTrafficPolicyLocal:',
      `  inClusterEndpoints: ${inClusterEndpoints}`,
      '',
    ].join('\n'),
  );
  startKubeIpvs(node, loadBalancerServices(), `--config=${file}`);
  const marks = onNode(node, 'ipvsadm -Sn').match(/^-A -f /gm)?.length ?? 0;
  const expected = inClusterEndpoints === 'all' ? 2 * addresses.length : 0;
  if (marks !== expected) throw new Error(`${marks} virtual servers on firewall marks, not ${expected}`);
};

/** The namespaces of a node. Traffic `beside` the Services is on the node of kube-ipvs. */
const namespaceOf = (node: Node): string => (node === 'beside' ? 'kube-ipvs' : node);

const makeNode: Readonly<Record<Node, (namespace: string) => void>> = {
  direct: () => undefined,
  untracked: addServices,
  ipvs: (namespace) => {
    addServices(namespace);
    trackConnections(namespace);
  },
  nat: (namespace) => {
    addServices(namespace);
    trackConnections(namespace);
    addNatChain(namespace);
  },
  'kube-ipvs': (namespace) => startKubeIpvs(namespace, clusterIpServices(), '--cluster-cidr=10.244.0.0/16'),
  beside: () => undefined,
  local: (namespace) => startInCluster(namespace, 'local'),
  all: (namespace) => startInCluster(namespace, 'all'),
};

const addNode = (node: Node): void => {
  if (node === 'beside') return;
  process.stderr.write(`• node ${node}\n`);
  runLine(`ip netns add ${node}`);
  runLine(`ip -netns ${node} link set lo up`);
  onNode(node, 'sysctl -qw net.ipv4.ip_forward=1');
  addPod(node, 'client', client);
  addPod(node, 'server', server);
  makeNode[node](node);
};

/** Flows are forgotten between rounds, connections are not. Pods of the node of kube-ipvs are measured twice a round. */
const firstPortOf = (kind: TrafficKind, node: Node, round: number): number => {
  if (kind === 'packet') return 0;
  return kind === 'flow' ? 20_000 : 2_000 + 1_000 * (2 * round + Number(node === 'beside'));
};

/** Waits until IPVS has forgotten all UDP flows, and makes the connection table forget them. */
const forgetFlows = (namespace: string): void => {
  while (onNode(namespace, 'cat /proc/net/ip_vs_conn').includes('UDP')) run('sleep', '0.2');
  onNode(namespace, 'conntrack -F');
};

const measure = (node: Node, kind: TrafficKind, round: number): TrafficRun<Node> => {
  const namespace = namespaceOf(node);
  const address = set === 'in-cluster' ? loadBalancerIp(measuredAddress) : measuredAddress;
  const [target, port] =
    node === 'direct' || node === 'beside' ? [server, serverPort] : [address, servicePort];
  const ends = [`${namespace}-client`, `${namespace}-server`];
  const text = run(
    traffic,
    kind,
    ...ends,
    client,
    String(firstPortOf(kind, node, round)),
    target,
    String(port),
    String(serverPort),
  );
  if (kind === 'flow' && node !== 'direct') forgetFlows(namespace);
  return { node, kind, microseconds: Number(text) };
};

/** Connections of all runs fit. Pages that the guest touches for the first time cost more than any packet. */
const prepareKernel = (): void => {
  runLine('sysctl -qw net.netfilter.nf_conntrack_max=262144');
  writeFileSync('/sys/module/nf_conntrack/parameters/hashsize', '65536');
  const kilobytes = Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0);
  run(
    'sh',
    '-c',
    `mkdir /tmp/touched && mount -t tmpfs -o size=100% none /tmp/touched &&
    dd if=/dev/zero of=/tmp/touched/file bs=1M count=${Math.floor((kilobytes / 1024) * 0.8)} && umount /tmp/touched`,
  );
};

const all: TrafficRun<Node>[] = [];
for (const node of nodes) addNode(node);
prepareKernel();
// The first round warms caches up, and does not count.
for (let round = 0; round <= Number(rounds); round += 1) {
  process.stderr.write(`• round ${round} of ${rounds}\n`);
  for (const kind of trafficKinds)
    for (const node of nodes) {
      const one = measure(node, kind, round);
      if (round > 0) all.push(one);
    }
}
const measurements: TrafficMeasurements<Node> = {
  kernel: release(),
  services: addresses.length,
  rounds: Number(rounds),
  runs: all,
};
process.stdout.write(`${JSON.stringify(measurements)}\n`);
