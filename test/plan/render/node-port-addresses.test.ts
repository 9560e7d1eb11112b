import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCidr } from '../../../src/base/ip.js';
import { nodePortAddresses } from '../../../src/plan/render/node-port-addresses.js';
import { nodeFacts } from '../../support/objects.js';

const node = nodeFacts([
  'lo 127.0.0.1/8',
  'lo ::1/128',
  'lo 10.255.0.1/32',
  'eth0 10.0.0.2/24',
  'eth0 fd00::2/64',
  'eth0 fe80::2/64',
  'eth1 169.254.7.7/16',
  'eth2 10.0.0.2/24',
]);
const cidrs = (...texts: readonly string[]) => texts.map(parseCidr).filter((cidr) => cidr !== undefined);

const rows: readonly [
  claim: string,
  family: 'IPv4' | 'IPv6',
  cidrs: readonly string[],
  expected: readonly string[],
][] = [
  ['all except loopback, each address once', 'IPv4', [], ['10.0.0.2', '10.255.0.1', '169.254.7.7']],
  ['all except loopback and link-local', 'IPv6', [], ['fd00::2']],
  ['only addresses in the networks', 'IPv4', ['10.0.0.0/16', '192.0.2.0/24'], ['10.0.0.2']],
  ['none if no address is in the networks', 'IPv4', ['192.0.2.0/24'], []],
  ['never link-local, even if requested', 'IPv6', ['fe80::/10'], []],
  ['never loopback, even if requested', 'IPv4', ['127.0.0.0/8'], []],
  ['all if the networks are of the other family', 'IPv6', ['10.0.0.0/16'], ['fd00::2']],
  ['all if one network includes every address', 'IPv6', ['fd09::/16', '::/0'], ['fd00::2']],
];

for (const [claim, family, texts, expected] of rows)
  test(`${family} with [${texts.join(', ')}]: ${claim}`, () => {
    assert.deepEqual(nodePortAddresses(family, node, cidrs(...texts)), expected);
  });
