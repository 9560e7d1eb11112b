import assert from 'node:assert/strict';
import { test } from 'node:test';
import { servedFrontend, servedFrontends } from '../../../src/apply/conntrack/served-frontend.js';
import { firewallMark } from '../../../src/model/firewall-mark.js';
import { virtualServerKey } from '../../../src/model/virtual-server.js';
import { render } from '../../../src/plan/render/render.js';
import { renderContext } from '../../../src/plan/render/render-context.js';
import { desiredState } from '../../support/desired-kernel.js';
import { ip, local, nodeFacts, ready, service, settings, slice } from '../../support/objects.js';

// The kernel holds exactly what is desired, so the desired state stands for the observed one.

const dns = service('dns', {
  type: 'LoadBalancer',
  clusterIP: '10.96.0.10',
  externalIPs: ['198.51.100.1'],
  ingress: [{ ip: '203.0.113.1' }],
  externalTrafficPolicy: 'Local',
  ports: [':53/UDP'],
});
const slices = [slice('dns', [local(ready('10.1.0.1')), ready('10.1.0.2')], { ports: [':53/UDP'] })];
const frontend = (address: string) =>
  ({ by: 'address', protocol: 'UDP', address: ip(address), port: 53 }) as const;
const fwmark = firewallMark(dns.key, { protocol: 'UDP', port: 53 }, 'IPv4');
const marked = { by: 'fwmark', fwmark, family: 'IPv4' } as const;

const sourcesWith = (inClusterEndpoints: 'local' | 'all') => {
  const desired = desiredState({ services: [dns], slices }, nodeFacts(), settings({ inClusterEndpoints }));
  const observed = {
    virtualServer: desired.virtualServer.bind(desired),
    bindings: desired.bindings.bind(desired),
    element: desired.element.bind(desired),
  };
  return { observed, marked: desired };
};

test('a flow to a frontend may lead to a real server of its requests from the cluster', () => {
  const realServersOf = (address: string, inClusterEndpoints: 'local' | 'all'): readonly string[] => [
    ...servedFrontend(frontend(address), sourcesWith(inClusterEndpoints)).realServers,
  ];
  assert.deepEqual(realServersOf('203.0.113.1', 'all'), ['10.1.0.1:53', '10.1.0.2:53']);
  assert.deepEqual(realServersOf('203.0.113.1', 'local'), ['10.1.0.1:53']);
});

test('the frontends of a virtual server on a firewall mark are all that lead to it', () => {
  const sources = sourcesWith('all');
  assert.deepEqual(
    servedFrontends(marked, sources).map(({ identity }) => virtualServerKey(identity)),
    ['UDP 198.51.100.1:53', 'UDP 203.0.113.1:53'],
  );
  assert.deepEqual(
    servedFrontends(frontend('10.96.0.10'), sources).map(({ identity }) => virtualServerKey(identity)),
    ['UDP 10.96.0.10:53'],
  );
});

test('while it drains because no endpoint is local any more, its frontends are still known; without the Service none', () => {
  const { observed, marked: desired } = sourcesWith('all');
  const context = renderContext(nodeFacts(), settings({ inClusterEndpoints: 'all' }));
  const elsewhere = slice('dns', [ready('10.1.0.2')], { ports: [':53/UDP'] });
  desired.replace(dns.key, render(dns, [elsewhere], context));
  assert.equal(desired.ownerOf(virtualServerKey(marked)), undefined);
  assert.equal(servedFrontends(marked, { observed, marked: desired }).length, 2);
  desired.replace(dns.key, undefined);
  assert.deepEqual(servedFrontends(marked, { observed, marked: desired }), []);
});
