import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Flow } from '../../src/model/flow.js';
import type { Protocol } from '../../src/base/protocol.js';
import type { RealServerKey } from '../../src/model/virtual-server.js';
import { frontendGroups, staleFlows, type ServedFrontend } from '../../src/plan/stale-flows.js';
import { ip } from '../support/objects.js';

const frontend = (
  address: string,
  port: number,
  realServers: readonly string[],
  protocol: Protocol = 'UDP',
): ServedFrontend => ({
  identity: { by: 'address', protocol, address: ip(address), port },
  realServers: new Set(realServers as RealServerKey[]),
});

const flow = (
  [destination, destinationPort]: readonly [string, number],
  [answerer, answererPort]: readonly [string, number],
  protocol: Protocol = 'UDP',
): Flow => ({
  family: destination.includes(':') ? 'IPv6' : 'IPv4',
  protocol,
  original: {
    source: ip('192.0.2.2'),
    sourcePort: 4000,
    destination: ip(destination),
    destinationPort,
  },
  reply: {
    source: ip(answerer),
    sourcePort: answererPort,
    destination: ip('192.0.2.2'),
    destinationPort: 4000,
  },
  id: 1,
  zone: 0,
});

const isStale = (one: Flow, ...frontends: readonly ServedFrontend[]): boolean =>
  frontendGroups(frontends).some((group) => staleFlows([one], group.frontends).length > 0);

const dns = frontend('10.96.0.10', 53, ['10.244.0.11:5353', '10.244.0.12:5353']);
const rows: readonly [claim: string, flow: Flow, stale: boolean, frontend?: ServedFrontend][] = [
  ['answered by a real server', flow(['10.96.0.10', 53], ['10.244.0.12', 5353]), false],
  ['answered by a former real server', flow(['10.96.0.10', 53], ['10.244.0.13', 5353]), true],
  ['answered by another port of a real server', flow(['10.96.0.10', 53], ['10.244.0.11', 53]), true],
  ['that never reached a real server', flow(['10.96.0.10', 53], ['10.96.0.10', 53]), true],
  [
    'that another zone saw on its way to a frontend',
    { ...flow(['10.96.0.10', 53], ['10.96.0.10', 53]), zone: 65_520 },
    false,
  ],
  [
    'of another zone, answered by a former real server',
    { ...flow(['10.96.0.10', 53], ['10.244.0.13', 5353]), zone: 5 },
    true,
  ],
  ['to another port of the address', flow(['10.96.0.10', 54], ['10.244.0.13', 5353]), false],
  ['to the port on another address', flow(['10.96.0.11', 53], ['10.244.0.13', 5353]), false],
  ['of another protocol', flow(['10.96.0.10', 53], ['10.244.0.13', 5353], 'TCP'), false],
  ['to a real server itself', flow(['10.244.0.13', 5353], ['10.244.0.13', 5353]), false],
  [
    'to a deleted frontend, answered by any address',
    flow(['10.96.0.10', 53], ['10.244.0.11', 5353]),
    true,
    frontend('10.96.0.10', 53, []),
  ],
  [
    'of IPv6, answered by a real server',
    flow(['fd00::a', 53], ['fd00::b', 5353]),
    false,
    frontend('fd00::a', 53, ['[fd00::b]:5353']),
  ],
  [
    'of IPv6, answered by a former real server',
    flow(['fd00::a', 53], ['fd00::c', 5353]),
    true,
    frontend('fd00::a', 53, ['[fd00::b]:5353']),
  ],
];
for (const [claim, one, stale, of = dns] of rows)
  test(`a flow ${claim} is ${stale ? '' : 'not '}stale`, () => assert.equal(isStale(one, of), stale));

test('one dump per family and protocol, narrowed if all frontends share an address or a port', () => {
  const queries = (...frontends: readonly ServedFrontend[]) =>
    frontendGroups(frontends).map(({ query }) => query);
  assert.deepEqual(queries(dns), [
    { family: 'IPv4', protocol: 'UDP', destination: '10.96.0.10', destinationPort: 53 },
  ]);
  assert.deepEqual(queries(dns, frontend('10.96.0.11', 53, []), frontend('fd00::a', 53, [])), [
    { family: 'IPv4', protocol: 'UDP', destination: undefined, destinationPort: 53 },
    { family: 'IPv6', protocol: 'UDP', destination: 'fd00::a', destinationPort: 53 },
  ]);
  assert.deepEqual(queries(dns, frontend('10.96.0.10', 54, []), frontend('10.96.0.10', 53, [], 'TCP')), [
    { family: 'IPv4', protocol: 'UDP', destination: '10.96.0.10', destinationPort: undefined },
    { family: 'IPv4', protocol: 'TCP', destination: '10.96.0.10', destinationPort: 53 },
  ]);
  assert.deepEqual(queries(), []);
});

test('of two frontends with one key the last wins; one identified by fwmark has no flows', () => {
  const gone = frontend('10.96.0.10', 53, []);
  const answered = flow(['10.96.0.10', 53], ['10.244.0.11', 5353]);
  assert.equal(isStale(answered, gone, dns), false);
  assert.equal(isStale(answered, dns, gone), true);
  assert.deepEqual(
    frontendGroups([{ identity: { by: 'fwmark', fwmark: 7, family: 'IPv4' }, realServers: new Set() }]),
    [],
  );
});
