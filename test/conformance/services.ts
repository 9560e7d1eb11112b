import assert from 'node:assert/strict';
import { balancer, here, nodePort, type Spec } from './place.js';

/** The EndpointSlice controller gives a Service's labels to its slices. */
const label = (name: string): Spec['run'] => {
  const labels = { [`service.kubernetes.io/${name}`]: 'other' };
  return async (place) => {
    place.service();
    place.endpoints('a');
    await place.meets('cluster-ip', 'a');
    place.service({ labels });
    place.endpoints('a', { labels });
    await place.meets('cluster-ip', 'gone');
    place.service();
    place.endpoints('a');
    await place.meets('cluster-ip', 'a');
  };
};

const fromExternalName =
  (type: string, frontends: string): Spec['run'] =>
  async (place) => {
    place.service({ type: 'ExternalName', externalName: 'example.com', clusterIPs: [] });
    place.endpoints('a b');
    place.service({ type });
    await place.meets(frontends, 'a b');
  };

const toExternalName =
  (type: string, frontends: string): Spec['run'] =>
  async (place) => {
    place.service({ type });
    place.endpoints('a b');
    await place.meets(frontends, 'a b');
    place.service({ type: 'ExternalName', externalName: 'example.com', clusterIPs: [] });
    await place.meets(frontends, 'gone', { from: ['client', 'node', 'c'] });
  };

/** Types, ports, labels and lives of Services: [sig-network] Services. */
export const serviceSpecs: readonly Spec[] = [
  {
    name: 'Services should be able to change the type from ClusterIP to ExternalName',
    run: toExternalName('ClusterIP', 'cluster-ip'),
  },
  {
    name: 'Services should be able to change the type from ExternalName to ClusterIP',
    run: fromExternalName('ClusterIP', 'cluster-ip'),
  },
  {
    name: 'Services should be able to change the type from ExternalName to NodePort',
    run: fromExternalName('NodePort', 'cluster-ip node-port'),
  },
  {
    name: 'Services should be able to change the type from NodePort to ExternalName',
    run: toExternalName('NodePort', 'cluster-ip node-port'),
  },
  {
    name: 'Services should be able to create a functioning NodePort service',
    run: async (place) => {
      place.service(nodePort);
      place.endpoints('a b');
      await place.meets('node-port@eth0 node-port@ext0 node-port@cni0 node-port@other0', 'a b');
    },
  },
  {
    name: 'Services should be able to update service type to NodePort listening on same port number but different protocols',
    run: async (place) => {
      place.service({ ports: ['t:80/TCP'] });
      place.endpoints('a');
      await place.meets('cluster-ip', 'a', { by: ['tcp'] });
      place.service(nodePort);
      await place.meets('node-port cluster-ip', 'a');
      // The port that both protocols share serves the other one on when one goes.
      place.service({ ...nodePort, ports: [`u:80/UDP@${place.nodePort}`] });
      await place.meets('node-port', 'a', { by: ['udp'] });
      await place.meets('node-port', 'refused', { by: ['tcp'] });
    },
  },
  {
    name: 'Services should be able to up and down services',
    places: 3,
    run: async (one, two, three) => {
      assert.ok(two !== undefined && three !== undefined);
      for (const place of [one, two]) {
        place.service();
        place.endpoints('a b');
      }
      for (const place of [one, two]) await place.meets('cluster-ip', 'a b');
      one.remove();
      await one.meets('cluster-ip', 'gone');
      await two.meets('cluster-ip', 'a b');
      three.service();
      three.endpoints('b');
      await three.meets('cluster-ip', 'b');
      await two.meets('cluster-ip', 'a b');
    },
  },
  {
    name: 'Services should work after the service has been recreated',
    run: async (place) => {
      for (const pod of ['a', 'b']) {
        place.service(nodePort);
        place.endpoints(pod);
        await place.meets('cluster-ip node-port', pod);
        place.remove();
        await place.meets('cluster-ip node-port', 'gone');
      }
    },
  },
  {
    name: 'Services should release NodePorts on delete',
    places: 2,
    run: async (place, other) => {
      assert.ok(other !== undefined);
      const ports = [`t:80/TCP@${place.nodePort}`, `u:80/UDP@${place.nodePort}`];
      place.service({ ...nodePort, ports });
      place.endpoints('a');
      await place.meets('node-port', 'a');
      place.remove();
      await place.meets('node-port', 'refused');
      other.service({ ...nodePort, ports });
      other.endpoints('b');
      await place.meets('node-port', 'b');
    },
  },
  {
    name: 'Services should be updated after adding or deleting ports',
    run: async (place) => {
      place.endpoints('a', { ports: ['one:8080/TCP', 'two:8081/TCP'] });
      const steps: readonly (readonly [readonly string[], string, string])[] = [
        [['one:80/TCP'], 'a', 'refused'],
        [['one:80/TCP', 'two:81/TCP'], 'a', 'a-8081'],
        [['two:81/TCP'], 'refused', 'a-8081'],
      ];
      for (const [ports, first, second] of steps) {
        place.service({ ports });
        await place.meets('cluster-ip', first, { by: ['tcp'], ...here });
        await place.meets('cluster-ip:81', second, { by: ['tcp'], ...here });
      }
    },
  },
  {
    name: 'Services should serve a basic endpoint from pods',
    run: async (place) => {
      place.service();
      for (const [words, answers] of [
        ['', 'refused'],
        ['a', 'a'],
        ['a b', 'a b'],
        ['b', 'b'],
        ['', 'refused'],
      ] as const) {
        place.endpoints(words);
        await place.meets('cluster-ip', answers);
      }
    },
  },
  {
    name: 'Services should serve multiport endpoints from pods',
    run: async (place) => {
      place.service({ ports: ['one:80/TCP', 'two:81/TCP'] });
      const one = (words: string) => place.endpoints(words, { ports: ['one:8080/TCP'], slice: '-one' });
      const two = (words: string) => place.endpoints(words, { ports: ['two:8081/TCP'], slice: '-two' });
      one('a');
      await place.meets('cluster-ip', 'a', { by: ['tcp'] });
      await place.meets('cluster-ip:81', 'refused', { by: ['tcp'] });
      two('b');
      await place.meets('cluster-ip:81', 'b-8081', { by: ['tcp'] });
      one('');
      await place.meets('cluster-ip', 'refused', { by: ['tcp'] });
      await place.meets('cluster-ip:81', 'b-8081', { by: ['tcp'] });
    },
  },
  {
    name: 'Services should serve endpoints on same port and different protocols',
    run: async (place) => {
      place.service();
      place.endpoints('a', { ports: ['t:8080/TCP'], slice: '-t' });
      place.endpoints('b', { ports: ['u:8080/UDP'], slice: '-u' });
      await place.meets('cluster-ip', 'a', { by: ['tcp'] });
      await place.meets('cluster-ip', 'b', { by: ['udp'] });
      place.service({ ports: ['t:80/TCP'] });
      await place.meets('cluster-ip', 'a', { by: ['tcp'] });
      await place.meets('cluster-ip', 'refused', { by: ['udp'] });
    },
  },
  {
    name: 'Services should serve endpoints on same port and different protocol for internal traffic on Type LoadBalancer',
    run: async (place) => {
      place.service(balancer);
      place.endpoints('a b');
      await place.meets('cluster-ip load-balancer', 'a b', { from: ['a', 'x'] });
    },
  },
  {
    name: 'Services should support named targetPorts that resolve to different ports on different endpoints',
    run: async (place) => {
      place.service();
      place.endpoints('a', { slice: '-a' });
      place.endpoints('b', { ports: ['t:8081/TCP', 'u:8081/UDP'], slice: '-b' });
      await place.meets('cluster-ip', 'a b-8081');
    },
  },
  { name: 'Services should implement service.kubernetes.io/headless', run: label('headless') },
  {
    name: 'Services should implement service.kubernetes.io/service-proxy-name',
    run: label('service-proxy-name'),
  },
  {
    name: 'EndpointSlice should support a Service with multiple endpoint IPs specified in multiple EndpointSlices',
    run: async (place) => {
      place.service();
      place.endpoints('a', { slice: '-1' });
      place.endpoints('b x', { slice: '-2' });
      await place.meets('cluster-ip', 'a b x', here);
      place.endpoints('b', { slice: '-2' });
      await place.meets('cluster-ip', 'a b');
    },
  },
  {
    name: 'EndpointSlice should support a Service with multiple ports specified in multiple EndpointSlices',
    run: async (place) => {
      place.service({ ports: ['one:80/TCP', 'two:81/TCP'] });
      place.endpoints('a', { ports: ['one:8080/TCP'], slice: '-1' });
      place.endpoints('b', { ports: ['two:8081/TCP'], slice: '-2' });
      await place.meets('cluster-ip', 'a', { by: ['tcp'] });
      await place.meets('cluster-ip:81', 'b-8081', { by: ['tcp'] });
    },
  },
  {
    name: 'EndpointSliceMirroring should mirror a custom Endpoint with multiple subsets and same IP address',
    run: async (place) => {
      place.service({ ports: ['one:80/TCP', 'two:81/TCP'] });
      place.endpoints('a', { ports: ['one:8080/TCP'], slice: '-1' });
      place.endpoints('a', { ports: ['two:8081/TCP'], slice: '-2' });
      await place.meets('cluster-ip', 'a', { by: ['tcp'] });
      await place.meets('cluster-ip:81', 'a-8081', { by: ['tcp'] });
    },
  },
];
