import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCidr, type Cidr } from '../../src/base/ip.js';
import { parseFlags } from '../../src/config/parse-flags.js';
import { podNetworksUnknown, podTraffic } from '../../src/config/pod-traffic.js';
import { resolveSettings } from '../../src/config/settings.js';

const cidr = (text: string): Cidr => {
  const parsed = parseCidr(text);
  assert.ok(parsed);
  return parsed;
};

const settings = (...argv: readonly string[]) =>
  resolveSettings({ flags: parseFlags(argv), files: [], hostname: 'n1' });

const detectors = (argv: readonly string[], ...podCidrs: readonly string[]) =>
  podTraffic(settings(...argv), { podCidrs: podCidrs.map(cidr) });

const source = (text: string) => ({ by: 'source', cidr: cidr(text) });

test('ClusterCIDR, the default, tells pods by the network of the family, if there is one', () => {
  assert.deepEqual(detectors([]), {});
  assert.deepEqual(detectors(['--cluster-cidr=10.244.0.0/16'], '10.244.7.0/24'), {
    IPv4: source('10.244.0.0/16'),
  });
  assert.deepEqual(
    detectors(['--detect-local-mode=ClusterCIDR', '--cluster-cidr=fd00:244::/56,10.244.0.0/16']),
    { IPv4: source('10.244.0.0/16'), IPv6: source('fd00:244::/56') },
  );
});

test("NodeCIDR tells pods by the first network of the family that the Node has, and can't while the Node is unknown", () => {
  const mode = ['--detect-local-mode=NodeCIDR', '--cluster-cidr=10.0.0.0/8'];
  assert.deepEqual(podTraffic(settings(...mode), undefined), {});
  assert.deepEqual(detectors(mode), {});
  assert.deepEqual(detectors(mode, '10.244.7.0/24', '10.244.9.0/24'), { IPv4: source('10.244.7.0/24') });
  assert.deepEqual(detectors(mode, 'fd00:7::/64', '10.244.7.0/24'), {
    IPv4: source('10.244.7.0/24'),
    IPv6: source('fd00:7::/64'),
  });
});

test('only NodeCIDR has to wait for the networks of the Node', () => {
  const nodeCidr = settings('--detect-local-mode=NodeCIDR');
  assert.equal(podNetworksUnknown(nodeCidr, undefined), true);
  assert.equal(podNetworksUnknown(nodeCidr, { podCidrs: [] }), true);
  assert.equal(podNetworksUnknown(nodeCidr, { podCidrs: [cidr('fd00:7::/64')] }), false);
  assert.equal(podNetworksUnknown(settings(), undefined), false);
});

test('the interface modes tell pods of both families', () => {
  const bridge = { by: 'interface', name: 'cni0' };
  assert.deepEqual(detectors(['--detect-local-mode=BridgeInterface', '--pod-bridge-interface=cni0']), {
    IPv4: bridge,
    IPv6: bridge,
  });
  const prefix = { by: 'interface-prefix', prefix: 'veth' };
  assert.deepEqual(
    detectors(['--detect-local-mode=InterfaceNamePrefix', '--pod-interface-name-prefix=veth']),
    { IPv4: prefix, IPv6: prefix },
  );
});

test('the mark is one bit, the highest one included', () => {
  assert.equal(settings().masqueradeMark, 0x4000);
  assert.equal(settings('--iptables-masquerade-bit=0').masqueradeMark, 1);
  assert.equal(settings('--iptables-masquerade-bit=31').masqueradeMark, 0x8000_0000);
});
