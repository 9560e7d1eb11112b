import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attr, attributes, optional, received } from '../../../src/netlink/codec/attributes.js';
import { ByteWriter, hex, viewOf } from '../../../src/netlink/codec/bytes.js';
import { ProtocolError } from '../../../src/netlink/errors.js';
import { be16, cstring, rawBytes, s32, u16, u32, u64, u8 } from '../../../src/netlink/codec/scalars.js';

const inner = attributes('inner', { port: attr(4, be16), name: optional(6, cstring) });
const outer = attributes('outer', {
  mode: attr(1, u16),
  inner: optional(2, inner),
  hits: received(3, u32),
});

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text.split(' '), (byte) => parseInt(byte, 16));
const read = (text: string): unknown => {
  const bytes = bytesOf(text);
  return outer.read(viewOf(bytes), 0, bytes.length);
};
const problem = (action: () => unknown): { path: string; problem: string } => {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
    return { path: error.path, problem: error.problem };
  }
  return assert.fail('no error');
};

describe('writing attributes', () => {
  test('rows in their order, nested sets flagged, padding zero even where the buffer was used before', () => {
    const writer = new ByteWriter(8);
    writer.bytes(new Uint8Array(64).fill(0xff));
    writer.truncate(0);
    outer.write(writer, { mode: 7, inner: { port: 80, name: 'ab' } });
    assert.equal(
      hex(writer.written()),
      ['06 00 01 00 07 00 00 00', '14 00 02 80', '06 00 04 00 00 50 00 00', '07 00 06 00 61 62 00 00'].join(
        ' ',
      ),
    );
  });

  test('undefined leaves an optional attribute out', () => {
    const writer = new ByteWriter();
    outer.write(writer, { mode: 7, inner: undefined });
    assert.equal(hex(writer.written()), '06 00 01 00 07 00 00 00');
  });
});

describe('values that do not fit', () => {
  const tooLarge = [
    ['u8', u8, 256],
    ['u16', u16, -1],
    ['u32', u32, 2 ** 32],
    ['s32', s32, 2 ** 31],
    ['be16', be16, 1.5],
  ] as const;
  for (const [name, codec, value] of tooLarge)
    test(`${name} refuses ${value}`, () => {
      assert.deepEqual(
        problem(() => codec.write(new ByteWriter(), value)),
        {
          path: '',
          problem: `${value} is not a valid ${name}`,
        },
      );
    });

  test('u64 refuses 2^64', () => {
    assert.equal(
      problem(() => u64.write(new ByteWriter(), 1n << 64n)).problem,
      '18446744073709551616 is not a valid u64',
    );
  });

  test('a string with a NUL is refused', () => {
    assert.equal(
      problem(() => cstring.write(new ByteWriter(), 'a\0b')).problem,
      '"a\\u0000b" contains a NUL',
    );
  });

  test('the error names the attribute by its path', () => {
    assert.deepEqual(
      problem(() => outer.write(new ByteWriter(), { mode: 1, inner: { port: 70000 } })),
      { path: 'inner.port', problem: '70000 is not a valid be16' },
    );
  });

  test('a set that outgrows 16 bits of length is refused', () => {
    const table = attributes('table', { bytes: attr(1, rawBytes(0, 1 << 20)) });
    assert.deepEqual(
      problem(() => table.write(new ByteWriter(), { bytes: new Uint8Array(0x10000) })),
      { path: 'bytes', problem: '65540 bytes do not fit into an attribute' },
    );
  });
});

describe('reading attributes', () => {
  test('unknown types are skipped, flag bits are masked, of two of a type the last counts', () => {
    assert.deepEqual(read('06 00 01 40 01 00 00 00 05 00 63 00 ff 00 00 00 06 00 01 00 02 00 00 00'), {
      mode: 2,
    });
  });

  test('the padding of the last attribute may be missing', () => {
    assert.deepEqual(read('06 00 01 00 07 00'), { mode: 7 });
  });

  test('a string ends at its first NUL, or without one where the attribute ends', () => {
    const bytes = bytesOf('61 62 00 63');
    assert.equal(cstring.read(viewOf(bytes), 0, 4), 'ab');
    assert.equal(cstring.read(viewOf(bytes), 0, 2), 'ab');
    assert.equal(cstring.read(viewOf(bytes), 0, 0), '');
  });

  const wrong: readonly (readonly [string, string, { path: string; problem: string }])[] = [
    [
      'a required attribute that is missing',
      '08 00 03 00 01 00 00 00',
      { path: 'mode', problem: 'is missing' },
    ],
    [
      'a required attribute that is missing in a nested set',
      '06 00 01 00 07 00 00 00 04 00 02 80',
      { path: 'inner.port', problem: 'is missing' },
    ],
    [
      'a scalar that is too long',
      '08 00 01 00 07 00 00 00',
      { path: 'mode', problem: 'u16 has 2 bytes, here 4' },
    ],
    [
      'a scalar that is too short',
      '05 00 01 00 07 00 00 00',
      { path: 'mode', problem: 'u16 has 2 bytes, here 1' },
    ],
    [
      'a length beyond the end',
      '0c 00 01 00 07 00 00 00',
      { path: 'mode', problem: 'has a length of 12 bytes, but 8 are left' },
    ],
    [
      'a length below the header',
      '03 00 63 00 07 00 00 00',
      { path: '#99', problem: 'has a length of 3 bytes, but 8 are left' },
    ],
    [
      'a nested length beyond its set',
      '06 00 01 00 07 00 00 00 08 00 02 80 08 00 04 00',
      { path: 'inner.port', problem: 'has a length of 8 bytes, but 4 are left' },
    ],
    ['half a header', '06 00 01', { path: '', problem: '3 bytes are left, too few for an attribute' }],
  ];
  for (const [name, bytes, expected] of wrong)
    test(`refused: ${name}`, () => {
      assert.deepEqual(
        problem(() => read(bytes)),
        expected,
      );
    });
});

describe('saying what lies where', () => {
  const bytes = bytesOf(
    '06 00 01 00 07 00 00 00 14 00 02 80 06 00 04 00 00 50 00 00 07 00 06 00 61 62 00 00 05 00 63 00 ff 00 00 00',
  );
  const view = viewOf(bytes);

  test('describe names every attribute, unknown ones by number', () => {
    assert.equal(outer.describe(view, 0, bytes.length), '{mode=7 inner={port=80 name="ab"} #99=ff}');
  });

  test('describe shows what is malformed as bytes, with the reason', () => {
    const broken = bytesOf('05 00 01 00 07 00 00 00');
    assert.equal(outer.describe(viewOf(broken), 0, 8), '{mode=07 <u16 has 2 bytes, here 1>}');
  });

  const places: readonly (readonly [number, string])[] = [
    [0, 'mode'],
    [4, 'mode'],
    [8, 'inner'],
    [12, 'inner.port'],
    [16, 'inner.port'],
    [20, 'inner.name'],
    [24, 'inner.name'],
    [28, '#99'],
    [100, ''],
  ];
  for (const [offset, path] of places)
    test(`offset ${offset} lies in ${path === '' ? 'nothing' : path}`, () => {
      assert.equal(outer.pathAt(view, 0, bytes.length, offset), path);
    });
});
