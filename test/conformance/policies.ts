import assert from 'node:assert/strict';
import { balancer, nodePort, type Place, type Spec } from './place.js';

const local = { type: 'LoadBalancer', externalTrafficPolicy: 'Local' } as const;
/** Those whose requests are internal or, where x is an endpoint, not to be answered by the asker itself. */
const inside = { from: ['node', 'c'] } as const;

/** The health check of a Service, once it has this status on the node's addresses; undefined: no process listens. */
const healthBecomes = async (place: Place, status: number | undefined): Promise<void> => {
  for (const family of place.families)
    await place.cluster.becomes(async () => {
      const say = 'GET / HTTP/1.0\r\n\r\n';
      const [answer = ''] = await place.ask('client', 'health', family, 'tcp', { say });
      assert.match(answer, status === undefined ? /^refused$/ : new RegExp(`^HTTP/1\\.[01] ${status} `));
    });
};

const affinity = (on: boolean): object =>
  on
    ? { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } } }
    : { sessionAffinity: 'None' };

const keepsAffinity =
  (fields: object, frontends: string): Spec['run'] =>
  async (place) => {
    place.service({ ...fields, ...affinity(true) });
    place.endpoints('a b');
    await place.sticks(frontends);
  };

const switchesAffinity =
  (fields: object, frontends: string): Spec['run'] =>
  async (place) => {
    place.endpoints('a b');
    place.service({ ...fields, ...affinity(false) });
    await place.meets(frontends, 'a b', { from: ['client', 'c'] });
    place.service({ ...fields, ...affinity(true) });
    await place.sticks(frontends);
    place.service({ ...fields, ...affinity(false) });
    await place.meets(frontends, 'a b', { from: ['client', 'c'] });
  };

/** [sig-network] Services and LoadBalancers: session affinity. */
export const affinitySpecs: readonly Spec[] = [
  {
    name: 'Services should have session affinity work for service with type clusterIP',
    run: keepsAffinity({}, 'cluster-ip'),
  },
  {
    name: 'Services should have session affinity work for NodePort service',
    run: keepsAffinity(nodePort, 'node-port'),
  },
  {
    name: 'Services should be able to switch session affinity for service with type clusterIP',
    run: switchesAffinity({}, 'cluster-ip'),
  },
  {
    name: 'Services should be able to switch session affinity for NodePort service',
    run: switchesAffinity(nodePort, 'node-port'),
  },
  {
    name: 'LoadBalancers should have session affinity work for LoadBalancer service with Cluster traffic policy',
    run: keepsAffinity(balancer, 'load-balancer'),
  },
  {
    name: 'LoadBalancers should have session affinity work for LoadBalancer service with Local traffic policy',
    run: keepsAffinity(local, 'load-balancer'),
  },
  {
    name: 'LoadBalancers should be able to switch session affinity for LoadBalancer service with Cluster traffic policy',
    run: switchesAffinity(balancer, 'load-balancer'),
  },
  {
    name: 'LoadBalancers should be able to switch session affinity for LoadBalancer service with Local traffic policy',
    run: switchesAffinity(local, 'load-balancer'),
  },
];

const everywhere = 'cluster-ip node-port load-balancer';

/** [sig-network] Services: endpoints that end or are not ready, traffic policies and health checks. */
export const policySpecs: readonly Spec[] = [
  {
    name: 'Services should be able to connect to terminating and unready endpoints if PublishNotReadyAddresses is true',
    run: async (place) => {
      place.service({ ...balancer, publishNotReadyAddresses: true });
      place.endpoints('a/published');
      await place.meets(everywhere, 'a');
    },
  },
  {
    name: 'Services should not be able to connect to terminating and unready endpoints if PublishNotReadyAddresses is false',
    run: async (place) => {
      place.service(balancer);
      place.endpoints('a');
      await place.meets(everywhere, 'a');
      place.endpoints('a/dead b/unready');
      await place.meets(everywhere, 'refused');
    },
  },
  {
    name: 'Services should create endpoints for unready pods',
    run: async (place) => {
      place.service();
      place.endpoints('a/unready');
      await place.meets('cluster-ip', 'refused');
      place.service({ publishNotReadyAddresses: true });
      place.endpoints('a');
      await place.meets('cluster-ip', 'a');
      place.endpoints('');
      await place.meets('cluster-ip', 'refused');
    },
  },
  {
    name: 'Services should fallback to terminating endpoints when there are no ready endpoints with internalTrafficPolicy=Cluster',
    run: async (place) => {
      place.service();
      place.endpoints('a/terminating x');
      await place.meets('cluster-ip', 'x', inside);
      place.endpoints('a/terminating x/terminating');
      await place.meets('cluster-ip', 'a x', inside);
    },
  },
  {
    name: 'Services should fallback to local terminating endpoints when there are no ready endpoints with internalTrafficPolicy=Local',
    run: async (place) => {
      place.service({ internalTrafficPolicy: 'Local' });
      place.endpoints('a/terminating b x');
      await place.meets('cluster-ip', 'b');
      place.endpoints('a/terminating x/terminating');
      await place.meets('cluster-ip', 'a');
      place.endpoints('a/dead x');
      await place.meets('cluster-ip', 'refused');
    },
  },
  {
    // So upstream writes it.
    name: 'Services should fallback to terminating endpoints when there are no ready endpoints with externallTrafficPolicy=Cluster',
    run: async (place) => {
      place.service(balancer);
      place.endpoints('a/terminating x/terminating');
      await place.meets('node-port load-balancer', 'a x');
      place.endpoints('a/terminating x');
      await place.meets('node-port load-balancer', 'x');
    },
  },
  {
    name: 'Services should fallback to local terminating endpoints when there are no ready endpoints with externalTrafficPolicy=Local',
    run: async (place) => {
      place.service(local);
      place.endpoints('a/terminating x/terminating');
      await place.meets('node-port load-balancer', 'a');
      place.endpoints('a/dead x');
      await place.meets('node-port load-balancer', 'timeout', { from: ['client'] });
    },
  },
  {
    name: 'Services should fail health check node port if there are only terminating endpoints',
    run: async (place) => {
      place.service(local);
      place.endpoints('a');
      await healthBecomes(place, 200);
      place.endpoints('a/terminating');
      await healthBecomes(place, 503);
      await place.meets('load-balancer', 'a');
    },
  },
  {
    name: 'Services should implement NodePort and HealthCheckNodePort correctly when ExternalTrafficPolicy changes',
    run: async (place) => {
      place.endpoints('a x');
      place.service(local);
      await place.meets('node-port', 'a');
      await healthBecomes(place, 200);
      place.service(balancer);
      await place.meets('node-port', 'a x');
      await healthBecomes(place, undefined);
      place.service(local);
      await place.meets('node-port', 'a');
      place.endpoints('x');
      await healthBecomes(place, 503);
      await place.meets('node-port', 'timeout', { from: ['client'] });
    },
  },
  {
    name: 'Services should support externalTrafficPolicy=Local for type=NodePort',
    run: async (place) => {
      place.service({ ...nodePort, externalTrafficPolicy: 'Local' });
      place.endpoints('a x');
      for (const link of ['eth0', 'ext0', 'cni0', 'other0'])
        await place.meets(`node-port@${link}`, 'a', { by: ['tcp'] });
      for (const family of place.families) {
        const [answer = ''] = await place.ask('client', 'node-port', family, 'tcp');
        assert.match(answer, family === 'IPv4' ? /^a 172\.31\.0\.2 / : /^a fd00:31::2 /);
      }
    },
  },
  {
    name: 'Services should respect internalTrafficPolicy=Local Pod and Node, to Pod (hostNetwork: true)',
    run: async (place) => {
      place.service({ internalTrafficPolicy: 'Local' });
      place.endpoints('node x');
      await place.meets('cluster-ip', 'node', { ...inside, by: ['tcp'] });
      place.endpoints('x');
      await place.meets('cluster-ip', 'refused', inside);
    },
  },
];
