import type { Case, Family } from './matrix.js';
import { families } from './matrix.js';
import { daemonPort, type Pod, type Position } from './network.js';
import { local, ready, servingTerminating, serviceObject, sliceObject } from '../support/objects.js';

type ByFamily = Readonly<Record<Family, string>>;

/** The addresses of `scripts/kernel-lab/network up --two-nodes`. The node's own requests have the address that they go to as their source. */
export const podAddresses: Readonly<Record<Exclude<Position, 'node'> | Pod, ByFamily>> = {
  client: { IPv4: '172.31.0.2', IPv6: 'fd00:31::2' },
  a: { IPv4: '10.128.1.1', IPv6: 'fd00:10:128:1::1' },
  b: { IPv4: '10.128.1.2', IPv6: 'fd00:10:128:1::2' },
  c: { IPv4: '10.128.1.3', IPv6: 'fd00:10:128:1::3' },
  x: { IPv4: '10.128.2.1', IPv6: 'fd00:10:128:2::1' },
};
export const nodeAddresses: Readonly<Record<string, ByFamily>> = {
  lo: { IPv4: '127.0.0.1', IPv6: '::1' },
  eth0: { IPv4: '10.200.0.2', IPv6: 'fd00:200::2' },
  ext0: { IPv4: '172.31.0.1', IPv6: 'fd00:31::1' },
  cni0: { IPv4: '10.128.1.254', IPv6: 'fd00:10:128:1::fe' },
  other0: { IPv4: '10.201.0.1', IPv6: 'fd00:201::1' },
};
/** What a pod sees of a request that the node masquerades. */
const nodeTowards: Readonly<Record<string, string>> = { a: 'cni0', b: 'cni0', c: 'cni0', x: 'other0' };

/** Every case has addresses and ports of its own, so that all can be there at once. */
export const nodePortOf = (index: number): number => 30_100 + index;
export const healthPortOf = (index: number): number => 32_100 + index;
const virtual = (index: number): Readonly<Record<string, ByFamily>> => ({
  'cluster-ip': { IPv4: `10.96.30.${index + 1}`, IPv6: `fd00:10:96::30:${index + 1}` },
  external: { IPv4: `198.51.100.${index + 1}`, IPv6: `2001:db8:198::${index + 1}` },
  'load-balancer': { IPv4: `203.0.113.${index + 1}`, IPv6: `2001:db8:203::${index + 1}` },
});

const required = <Value>(value: Value | undefined, what: string): Value => {
  if (value === undefined) throw new Error(`matrix.yaml: ${what}`);
  return value;
};

/** Where a frontend such as `external`, `node-port@cni0` or `cluster-ip:22` is. */
export const target = (
  one: Case,
  index: number,
  frontend: string,
  family: Family,
): readonly [string, number] => {
  const [place = '', portWord] = frontend.split(':');
  const [kind = '', link = 'ext0'] = place.split('@');
  const ownPort = kind === 'node-port' ? nodePortOf(index) : one.port;
  const special: Readonly<Record<string, number>> = {
    'node-port': nodePortOf(index),
    health: healthPortOf(index),
    daemon: daemonPort,
  };
  const port = portWord === undefined ? ownPort : (special[portWord] ?? Number(portWord));
  if (kind === 'external' && one.external !== undefined)
    return [required(one.external[families.indexOf(family)], frontend), port];
  const addresses = kind === 'node' || kind === 'node-port' ? nodeAddresses[link] : virtual(index)[kind];
  return [required(addresses, `no frontend ${frontend}`)[family], port];
};

/** The source that a pod sees, for the words `own` and `node`. */
export const sourceOf = (word: string, pod: string, from: Position, family: Family): string => {
  if (word === 'own' && from !== 'node') return podAddresses[from][family];
  if (word !== 'node') throw new Error(`matrix.yaml: no source ${word}`);
  return required(nodeAddresses[nodeTowards[pod] ?? ''], `no pod ${pod}`)[family];
};

const endpointAddresses: Readonly<Record<string, ByFamily>> = {
  ...podAddresses,
  node: { IPv4: '10.200.0.2', IPv6: 'fd00:200::2' },
};

/** `x`, or `a/terminating` for one that ends, but still serves. */
const endpointsOf = (one: Case, family: Family) =>
  one.endpoints.map((word) => {
    const [pod, state] = word.split('/');
    const found = Object.entries(endpointAddresses).find(([name]) => name === pod);
    const [, addresses] = required(found, `no pod ${word}`);
    const endpoint = (state === 'terminating' ? servingTerminating : ready)(addresses[family]);
    return pod === 'x' ? endpoint : local(endpoint);
  });

const portsOf = (one: Case, servicePort: number, nodePort: string): readonly string[] => [
  `t:${servicePort}/TCP${nodePort}`,
  `u:${servicePort}/UDP${nodePort}`,
  ...(one.sctp ? [`s:${servicePort}/SCTP${nodePort}`] : []),
];

const objectsOf = (one: Case, index: number): readonly object[] => {
  const ownAddresses = (frontend: string): string[] =>
    families.map((family) => target(one, index, frontend, family)[0]);
  return [
    serviceObject(`matrix/${one.name}`, {
      type: 'LoadBalancer',
      clusterIPs: ownAddresses('cluster-ip'),
      ipFamilies: families,
      ipFamilyPolicy: 'RequireDualStack',
      externalIPs: ownAddresses('external'),
      ingress: ownAddresses('load-balancer').map((ip) => ({ ip })),
      ports: portsOf(one, one.port, `@${nodePortOf(index)}`),
      ...('externalTrafficPolicy' in one.service ? { healthCheckNodePort: healthPortOf(index) } : {}),
      ...one.service,
    }),
    ...families.map((family) =>
      sliceObject(`matrix/${one.name}`, endpointsOf(one, family), {
        ports: portsOf(one, 8080, ''),
        family,
        suffix: family.toLowerCase(),
      }),
    ),
  ];
};

/** The Node that kube-ipvs runs on. */
export const nodeObject = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name },
  spec: { podCIDR: '10.128.1.0/24', podCIDRs: ['10.128.1.0/24', 'fd00:10:128:1::/64'] },
  status: {
    addresses: [
      { type: 'InternalIP', address: '10.200.0.2' },
      { type: 'InternalIP', address: 'fd00:200::2' },
    ],
  },
});

/** Services and EndpointSlices of all cases. */
export const worldOf = (cases: readonly Case[]): readonly object[] => cases.flatMap(objectsOf);
