import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InputError } from '../../src/base/errors.js';
import { parseIp } from '../../src/base/ip.js';
import { matchesTarget, parseTarget } from '../../src/cli/target.js';

test('a VIP, a VIP with a port, IPv6 with and without brackets', () => {
  assert.deepEqual(parseTarget('10.96.0.1'), { address: '10.96.0.1', port: undefined });
  assert.deepEqual(parseTarget('10.96.0.1:443'), { address: '10.96.0.1', port: 443 });
  assert.deepEqual(parseTarget('fd00::1'), { address: 'fd00::1', port: undefined });
  assert.deepEqual(parseTarget('[FD00:0::1]'), { address: 'fd00::1', port: undefined });
  assert.deepEqual(parseTarget('[fd00::1]:53'), { address: 'fd00::1', port: 53 });
});

const message = (text: string): string => {
  try {
    parseTarget(text);
  } catch (error) {
    if (error instanceof InputError) return error.message;
  }
  return assert.fail(`${text} was taken`);
};

test('anything else says what can be asked for', () => {
  assert.match(
    message('default/my-nginx:http'),
    /name of a Service.*kubectl get service -n default my-nginx shows it/,
  );
  assert.match(message('10.96.0.1:http'), /"http" is no port/);
  assert.match(message('10.96.0.1:70000'), /"70000" is no port/);
  assert.match(message('nonsense'), /"nonsense" is no address of a virtual server; ask for a VIP/);
});

test('a target without a port is every port of every protocol; fwmarks are never meant', () => {
  const address = parseIp('10.96.0.1') ?? assert.fail();
  const identity = { by: 'address', protocol: 'UDP', address, port: 53 } as const;
  assert.equal(matchesTarget(parseTarget('10.96.0.1'), identity), true);
  assert.equal(matchesTarget(parseTarget('10.96.0.1:53'), identity), true);
  assert.equal(matchesTarget(parseTarget('10.96.0.1:54'), identity), false);
  assert.equal(matchesTarget(parseTarget('10.96.0.2'), identity), false);
  assert.equal(matchesTarget(parseTarget('10.96.0.1'), { by: 'fwmark', fwmark: 1, family: 'IPv4' }), false);
});
