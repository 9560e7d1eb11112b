import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { ipFromBytes, ipToBytes, parseIp, type IpAddress } from '../../src/base/ip.js';

describe('addresses as bytes', () => {
  const examples: readonly (readonly [string, string])[] = [
    ['10.96.0.1', '0a600001'],
    ['255.255.255.255', 'ffffffff'],
    ['0.0.0.0', '00000000'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['fd00::', 'fd000000000000000000000000000000'],
    ['2001:db8:96::10', '20010db8009600000000000000000010'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
  ];
  for (const [text, hex] of examples)
    test(text, () => {
      assert.equal(Buffer.from(ipToBytes(text as IpAddress)).toString('hex'), hex);
      assert.equal(ipFromBytes(Buffer.from(hex, 'hex')), text);
    });

  /** Zeros are frequent, so that `::` comes at every place and length. */
  const byte = fc.oneof(fc.constant(0), fc.nat(255));
  for (const length of [4, 16])
    test(`${length} bytes are the same after text and back`, () => {
      fc.assert(
        fc.property(fc.array(byte, { minLength: length, maxLength: length }), (bytes) => {
          assert.deepEqual([...ipToBytes(ipFromBytes(Uint8Array.from(bytes)))], bytes);
        }),
        { numRuns: 2000 },
      );
    });

  test('every text that is parsed has bytes that give it back', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const address = parseIp(text);
        if (address !== undefined) assert.equal(ipFromBytes(ipToBytes(address)), address);
      }),
      { numRuns: 2000 },
    );
  });
});
