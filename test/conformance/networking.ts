import assert from 'node:assert/strict';
import { balancer, here, nodePort, type Asked, type Place, type Spec } from './place.js';
import type { ServiceSpec } from '../support/objects.js';
import type { Family } from '../traffic/matrix.js';
import { podAddresses } from '../traffic/world.js';
import { thisZone } from './cluster.js';

/** [sig-network] Conntrack and LoadBalancers: a UDP client that keeps its port, while what serves it changes. */
const cycles =
  (
    fields: ServiceSpec,
    from: 'client' | 'node' | 'c',
    frontend: string,
    pods: readonly string[],
  ): Spec['run'] =>
  async (place) => {
    place.service(fields);
    for (const pod of pods) {
      place.endpoints(pod);
      await place.follows(from, frontend, pod);
    }
  };

export const conntrackSpecs: readonly Spec[] = [
  {
    name: 'Conntrack should be able to preserve UDP traffic when server pod cycles for a NodePort service',
    run: cycles(nodePort, 'client', 'node-port', ['a', 'x', 'b']),
  },
  {
    name: 'Conntrack should be able to preserve UDP traffic when server pod cycles for a ClusterIP service',
    run: cycles({}, 'c', 'cluster-ip', ['a', 'x', 'b']),
  },
  {
    name: 'Conntrack should be able to preserve UDP traffic when server pod cycles for a ClusterIP service and client is hostNetwork',
    run: cycles({}, 'node', 'cluster-ip', ['a', 'x', 'b']),
  },
  {
    name: 'Conntrack should be able to preserve UDP traffic when server pod cycles for a ClusterIP service with InternalTrafficPolicy set to Local',
    run: cycles({ internalTrafficPolicy: 'Local' }, 'c', 'cluster-ip', ['a', 'b']),
  },
  {
    name: 'Conntrack should be able to preserve UDP traffic when initial unready endpoints get ready',
    run: async (place) => {
      place.service();
      place.endpoints('a/unready');
      await place.follows('c', 'cluster-ip', 'refused');
      place.endpoints('a');
      await place.follows('c', 'cluster-ip', 'a');
    },
  },
  {
    name: 'Conntrack should be able to cleanup conntrack entries when UDP service target port changes for a NodePort service',
    run: async (place) => {
      place.service(nodePort);
      place.endpoints('a');
      await place.follows('client', 'node-port', 'a');
      place.endpoints('a', { ports: ['t:8081/TCP', 'u:8081/UDP'] });
      await place.follows('client', 'node-port', 'a-8081');
    },
  },
  {
    name: 'LoadBalancers should be able to preserve UDP traffic when server pod cycles for a LoadBalancer service on different nodes',
    run: cycles(balancer, 'client', 'load-balancer', ['a', 'x', 'a']),
  },
  {
    name: 'LoadBalancers should be able to preserve UDP traffic when server pod cycles for a LoadBalancer service on the same nodes',
    run: cycles(balancer, 'client', 'load-balancer', ['a', 'b', 'a']),
  },
];

const changesTypeAndPorts =
  (transport: 'tcp' | 'udp'): Spec['run'] =>
  async (place) => {
    const by: Asked = { by: [transport] };
    const name = transport === 'tcp' ? 't' : 'u';
    const port = (servicePort: number, at = ''): string[] => [
      `${name}:${servicePort}/${transport.toUpperCase()}${at}`,
    ];
    place.endpoints('a b');
    place.service({ ports: port(80) });
    await place.meets('cluster-ip', 'a b', by);
    place.service({ ...nodePort, ports: port(80, `@${place.nodePort}`) });
    await place.meets('node-port', 'a b', by);
    place.service({ ...balancer, ports: port(80, `@${place.nodePort}`) });
    await place.meets('node-port load-balancer', 'a b', by);
    const moved = place.nodePort + 1;
    place.service({ ...balancer, ports: port(80, `@${moved}`) });
    await place.meets(`node-port:${moved} load-balancer`, 'a b', by);
    await place.meets('node-port', 'gone', by);
    place.service({ ...balancer, ports: port(81, `@${moved}`) });
    await place.meets(`load-balancer:81 node-port:${moved} cluster-ip:81`, 'a b', by);
    await place.meets('load-balancer', 'gone', by);
    place.service({ ports: port(81) });
    await place.meets('cluster-ip:81', 'a b', by);
    await place.meets(`node-port:${moved} load-balancer:81`, 'gone', {
      ...by,
      from: ['client', 'node', 'c'],
    });
  };

export const balancerSpecs: readonly Spec[] = [
  {
    name: 'LoadBalancers should be able to change the type and ports of a TCP service',
    run: changesTypeAndPorts('tcp'),
  },
  {
    name: 'LoadBalancers should be able to change the type and ports of a UDP service',
    run: changesTypeAndPorts('udp'),
  },
  {
    name: 'LoadBalancers should be able to create LoadBalancer Service without NodePort and change it',
    run: async (place) => {
      place.endpoints('a');
      place.service({ ...balancer, allocateLoadBalancerNodePorts: false, ports: ['t:80/TCP', 'u:80/UDP'] });
      await place.meets('load-balancer cluster-ip', 'a');
      await place.meets('node-port', 'refused');
      place.service(balancer);
      await place.meets('load-balancer node-port', 'a');
    },
  },
  {
    name: 'LoadBalancers should only allow access from service loadbalancer source ranges',
    run: async (place) => {
      place.endpoints('a b');
      const ranges = {
        c: ['10.128.1.3/32', 'fd00:10:128:1::3/128'],
        client: ['172.31.0.2/32', 'fd00:31::2/128'],
      };
      for (const [allowed, other] of [
        ['c', 'client'],
        ['client', 'c'],
      ] as const) {
        place.service({ ...balancer, loadBalancerSourceRanges: ranges[allowed] });
        await place.meets('load-balancer', 'a b', { from: [allowed] });
        await place.meets('load-balancer', 'timeout', { from: [other] });
      }
      place.service(balancer);
      await place.meets('load-balancer', 'a b');
    },
  },
];

/**
 * What comes from beyond the node comes through in both families. IPVS itself refuses (EMSGSIZE) a datagram of IPv6 that is longer than
 * the MTU from a pod behind a bridge and from the node: docs/conformance.md.
 */
const large = (transport: 'tcp' | 'udp', bytes: number): Spec['run'] => {
  const say = `${'x'.repeat(bytes)}\n`;
  const options = { say, least: 2, most: 2 };
  return async (place) => {
    place.service(nodePort);
    place.endpoints('a x', { ports: ['t:8082/TCP', 'u:8082/UDP'] });
    for (const family of place.families)
      for (const [from, frontend] of [
        ['c', 'cluster-ip'],
        ['client', 'cluster-ip'],
        ['client', 'node-port'],
      ] as const) {
        if (from === 'c' && transport === 'udp' && family === 'IPv6') continue;
        await place.cluster.becomes(async () => {
          for (const answer of await place.ask(from, frontend, family, transport, options))
            assert.equal(
              answer.trimEnd().length,
              bytes,
              `${from} → ${frontend} ${family}: ${answer.slice(0, 20)}`,
            );
        });
      }
  };
};

const updatesEndpoints =
  (transport: 'tcp' | 'udp'): Spec['run'] =>
  async (place) => {
    place.service(nodePort);
    place.endpoints('a b x');
    await place.meets('cluster-ip node-port', 'a b x', { by: [transport], ...here });
    place.endpoints('b x');
    await place.meets('cluster-ip node-port', 'b x', { by: [transport], ...here });
  };

const updatesNodePort =
  (transport: 'tcp' | 'udp'): Spec['run'] =>
  async (place) => {
    place.service(nodePort);
    place.endpoints('a b');
    await place.meets('node-port', 'a b', { by: [transport] });
    place.service();
    await place.meets('node-port', 'gone', { by: [transport] });
    await place.meets('cluster-ip', 'a b', { by: [transport] });
  };

const granular = 'Networking Granular Checks: Services should';

export const networkingSpecs: readonly Spec[] = [
  { name: `${granular} be able to handle large requests: http`, run: large('tcp', 200_000) },
  { name: `${granular} be able to handle large requests: udp`, run: large('udp', 6_000) },
  { name: `${granular} update endpoints: http`, run: updatesEndpoints('tcp') },
  { name: `${granular} update endpoints: udp`, run: updatesEndpoints('udp') },
  { name: `${granular} update nodePort: http`, run: updatesNodePort('tcp') },
  { name: `${granular} update nodePort: udp`, run: updatesNodePort('udp') },
  {
    name: `${granular} function for multiple endpoint-Services with same selector`,
    places: 2,
    run: async (one, two) => {
      assert.ok(two !== undefined);
      for (const place of [one, two]) {
        place.service(nodePort);
        place.endpoints('a b');
      }
      for (const place of [one, two]) await place.meets('cluster-ip node-port', 'a b');
      one.remove();
      await one.meets('cluster-ip', 'gone');
      await two.meets('cluster-ip node-port', 'a b');
    },
  },
  {
    name: 'Connectivity Pod Lifecycle should be able to have zero downtime on a Blue Green deployment using Services and Readiness Gates',
    run: async (place) => {
      place.service();
      place.endpoints('a');
      await place.meets('cluster-ip', 'a', here);
      place.endpoints('b');
      const answers = new Set<string>();
      await place.cluster.becomes(async () => {
        for (const family of place.families)
          for (const answer of await place.ask('c', 'cluster-ip', family, 'tcp', { least: 5, most: 5 }))
            answers.add(answer.split(' ')[0] ?? '');
        assert.ok(answers.has('b'));
      });
      answers.delete('a');
      assert.deepEqual([...answers], ['b']);
    },
  },
  {
    name: 'NoSNAT Should be able to send traffic between Pods without SNAT',
    run: async (place) => {
      for (const family of place.families)
        for (const [from, to, source] of podPairs(family)) {
          const question = {
            protocol: 'tcp',
            port: 8_080,
            patience: 3_000,
            least: 1,
            distinct: 1,
            most: 1,
          } as const;
          await place.cluster.becomes(async () => {
            const asked = { ...question, address: to, pastTimeout: false };
            const { answers } = await place.cluster.network.ask(from, asked);
            assert.equal(answers[0]?.split(' ')[1], source, `${from} → ${to}: ${answers[0]}`);
          });
        }
    },
  },
  {
    name: 'Service CIDRs should create Services and serve on different Service CIDRs',
    run: async (place) => {
      const other = place.inRange(41);
      for (const each of [place, other]) {
        each.service();
        each.endpoints('a b');
        await each.meets('cluster-ip', 'a b');
      }
      await place.meets('cluster-ip', 'a b');
    },
  },
  {
    name: 'DNS should provide DNS for the cluster',
    run: async (place) => {
      place.service({ ports: ['dns:53/UDP', 'dns-tcp:53/TCP'] });
      place.endpoints('a x', { ports: ['dns:8080/UDP', 'dns-tcp:8080/TCP'] });
      await place.meets('cluster-ip:53', 'a x', here);
    },
  },
];

const podPairs = (family: Family) =>
  (
    [
      ['c', 'a'],
      ['a', 'b'],
      ['c', 'x'],
      ['x', 'a'],
    ] as const
  ).map(([from, to]) => [from, podAddresses[to][family], podAddresses[from][family]] as const);

/** Endpoints a and b are on this node; a hint says for which zone or node each is meant. */
const hinted = (
  place: Place,
  hints: Readonly<Record<string, readonly string[]>>,
  of: 'zones' | 'nodes',
): void => {
  for (const pod of ['a', 'b', 'x']) {
    const names = hints[pod];
    place.endpoints(names === undefined ? '' : pod, { slice: `-${pod}`, fields: { [of]: names ?? [] } });
  }
};

const prefersZone =
  (trafficDistribution: string): Spec['run'] =>
  async (place) => {
    place.service({ trafficDistribution });
    hinted(place, { a: [thisZone], b: ['zone-b'], x: ['zone-b'] }, 'zones');
    await place.meets('cluster-ip', 'a');
    // None is left in the zone: all others serve.
    hinted(place, { b: ['zone-b'], x: ['zone-b'] }, 'zones');
    await place.meets('cluster-ip', 'b x', here);
  };

const prefersZoneOfMany =
  (trafficDistribution: string): Spec['run'] =>
  async (place) => {
    place.service({ trafficDistribution });
    hinted(place, { a: [thisZone], b: ['zone-b'], x: [thisZone] }, 'zones');
    await place.meets('cluster-ip', 'a x', here);
  };

export const trafficDistributionSpecs: readonly Spec[] = [
  {
    name: 'Topology Hints should distribute endpoints evenly',
    run: async (place) => {
      place.service({ annotations: { 'service.kubernetes.io/topology-mode': 'Auto' } });
      hinted(place, { a: [thisZone], b: ['zone-b'], x: ['zone-c'] }, 'zones');
      await place.meets('cluster-ip', 'a');
    },
  },
  ...['PreferClose', 'PreferSameZone'].flatMap((distribution): readonly Spec[] => [
    {
      name: `Traffic Distribution should route traffic to an endpoint in the same zone when using ${distribution}`,
      run: prefersZone(distribution),
    },
    {
      name: `Traffic Distribution should route traffic correctly between pods on multiple nodes when using ${distribution}`,
      run: prefersZoneOfMany(distribution),
    },
  ]),
  {
    name: 'Traffic Distribution should route traffic to an endpoint on the same node or fall back to same zone when using PreferSameNode',
    run: async (place) => {
      place.service({ trafficDistribution: 'PreferSameNode' });
      const zones = { a: [thisZone], b: [thisZone], x: ['zone-b'] };
      for (const pod of ['a', 'b', 'x'] as const)
        place.endpoints(pod, {
          slice: `-${pod}`,
          fields: { zones: zones[pod], nodes: [pod === 'a' ? 'n1' : `node-of-${pod}`] },
        });
      await place.meets('cluster-ip', 'a');
      place.endpoints('', { slice: '-a' });
      await place.meets('cluster-ip', 'b');
    },
  },
  {
    name: 'Traffic Distribution should route traffic to an endpoint on the same node when using PreferSameNode and fall back when the endpoint becomes unavailable',
    run: async (place) => {
      place.service({ trafficDistribution: 'PreferSameNode' });
      hinted(place, { a: ['n1'], x: ['n2'] }, 'nodes');
      await place.meets('cluster-ip', 'a');
      hinted(place, { x: ['n2'] }, 'nodes');
      await place.meets('cluster-ip', 'x', here);
      hinted(place, { a: ['n1'], x: ['n2'] }, 'nodes');
      await place.meets('cluster-ip', 'a');
    },
  },
];

const families =
  (...over: readonly ('IPv4' | 'IPv6')[]): Spec['run'] =>
  async (place) => {
    const own = place.over(over);
    own.service({ ...nodePort, ipFamilyPolicy: over.length === 1 ? 'SingleStack' : 'RequireDualStack' });
    own.endpoints('a b');
    await own.meets('cluster-ip node-port', 'a b');
  };

const dualStack = '[Feature:IPv6DualStack] should create service with';

export const dualStackSpecs: readonly Spec[] = [
  { name: `${dualStack} ipv4 cluster ip`, dualStack: true, run: families('IPv4') },
  { name: `${dualStack} ipv6 cluster ip`, dualStack: true, run: families('IPv6') },
  { name: `${dualStack} ipv4,v6 cluster ip`, dualStack: true, run: families('IPv4', 'IPv6') },
  { name: `${dualStack} ipv6,v4 cluster ip`, dualStack: true, run: families('IPv6', 'IPv4') },
];
