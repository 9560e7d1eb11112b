import assert from 'node:assert/strict';
import { test } from 'node:test';
import { families, parseCidr, type Cidr, type Family } from '../../../src/base/ip.js';
import { parseFlags } from '../../../src/config/parse-flags.js';
import { resolveSettings } from '../../../src/config/settings.js';
import { sanityWarnings } from '../../../src/daemon/config/sanity-warnings.js';
import { ip } from '../../support/objects.js';

const cidr = (text: string): Cidr => {
  const parsed = parseCidr(text);
  assert.ok(parsed);
  return parsed;
};

interface Around {
  readonly node?: string;
  readonly pods?: string;
  readonly served?: readonly Family[];
}

const split = (list: string): readonly string[] => list.split(',').filter((text) => text !== '');

const warnings = (flags: string, { node = '', pods = '', served = families }: Around = {}) =>
  sanityWarnings({
    settings: resolveSettings({
      flags: parseFlags(['--proxy-mode=ipvs', ...flags.split(' ').filter((flag) => flag !== '')]),
      files: [],
      hostname: 'n1',
    }),
    node: { addresses: split(node).map(ip), podCidrs: split(pods).map(cidr) },
    served,
  });

const open = (family: Family): string =>
  `nodePortAddresses contains no ${family} network: NodePorts are served on every ${family} address of this node`;

test('NodePorts on every address are worth a word', () => {
  assert.match(warnings('').join(), /^nodePortAddresses is empty: .*\[primary\]/);
  assert.deepEqual(warnings('--nodeport-addresses=10.0.0.0/8'), []);
});

test('nodePortAddresses that leave out a family open it wholly', () => {
  const v4 = '--nodeport-addresses=10.0.0.0/8';
  assert.deepEqual(warnings(`${v4} --cluster-cidr=10.244.0.0/16,fd00:244::/56`), [open('IPv6')]);
  assert.deepEqual(warnings(v4, { pods: '10.244.1.0/24,fd00:1::/64' }), [open('IPv6')]);
  assert.deepEqual(warnings(v4, { pods: '10.244.1.0/24,fd00:1::/64', served: ['IPv4'] }), []);
  assert.deepEqual(warnings(v4, { node: 'fd00::10' }), [open('IPv6')]);
  assert.deepEqual(warnings(`${v4} --bind-address=::`), []);
  assert.deepEqual(warnings(`${v4} --bind-address=fd00::10`), [open('IPv6')]);
  assert.deepEqual(warnings('--nodeport-addresses=fd00::/64'), [open('IPv4')]);
});

test('primary needs a Node with an address', () => {
  assert.deepEqual(warnings('--nodeport-addresses=primary', { node: '10.0.0.1' }), []);
  assert.deepEqual(warnings('--nodeport-addresses=primary'), [open('IPv4')]);
});

test('pod networks of the other family alone are told, with what they do', () => {
  const ports = '--nodeport-addresses=0.0.0.0/0,::/0';
  const text =
    'contains only IPv6 networks, but the primary family of this cluster is IPv4: IPv4 traffic from pods is not recognized, and not masqueraded';
  assert.deepEqual(warnings(`${ports} --cluster-cidr=fd00::/56`), [`clusterCIDR ${text}`]);
  const nodeCidr = `${ports} --detect-local-mode=NodeCIDR`;
  assert.deepEqual(warnings(nodeCidr, { pods: 'fd00::/64' }), [`spec.podCIDRs of the Node ${text}`]);
  assert.deepEqual(warnings(ports, { pods: 'fd00::/64' }), [
    'spec.podCIDRs of the Node contains only IPv6 networks, but the primary family of this cluster is IPv4',
  ]);
  assert.deepEqual(warnings(nodeCidr, { pods: 'fd00::/64', node: 'fd00::1' }), []);
});

test('what a node with one family is told of the other is told', () => {
  const flags =
    '--nodeport-addresses=10.0.0.0/8 --ipvs-exclude-cidrs=fd00::/64 --healthz-bind-address=[fd00::1]:10256 --metrics-bind-address=[::]:10249';
  assert.deepEqual(warnings(flags, { served: ['IPv4'] }), [
    'ipvs.excludeCIDRs is IPv6, which this node does not have',
    'healthzBindAddress is IPv6, which this node does not have',
  ]);
  assert.deepEqual(warnings(flags), []);
});
