import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventFilterProgram, type EventFilter } from '../../src/netlink/socket-filter.js';

/** Runs the program as the kernel does (net/core/filter.c); whether the datagram is delivered. */
const delivers = (filter: EventFilter, datagram: Buffer): boolean => {
  const program = Buffer.from(eventFilterProgram(filter));
  let accumulator = 0;
  for (let at = 0; ; at += 1) {
    const code = program.readUInt16LE(at * 8);
    const operand = program.readUInt32LE(at * 8 + 4);
    if (code === 0x06) return operand !== 0;
    if (code === 0x20) accumulator = datagram.readUInt32BE(operand);
    else if (code === 0x28) accumulator = datagram.readUInt16BE(operand);
    else if (code === 0x30) accumulator = datagram.readUInt8(operand);
    else if (code === 0x15) at += program.readUInt8(at * 8 + (accumulator === operand ? 2 : 3));
    else assert.fail(`unknown instruction ${code}`);
  }
};

/** A message of a type by a port, whose body begins with these bytes. */
const message = (type: number, port: number, ...body: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt32LE(28, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt32LE(port, 12);
  Buffer.from(body).copy(bytes, 16);
  return bytes;
};

const only = {
  types: [24, 25],
  bytes: [
    { offset: 4, value: 255 },
    { offset: 5, value: 73 },
  ],
};

test('without a filter everything is delivered', () => {
  assert.ok(delivers({}, message(24, 7)));
});

test('what the port requested is dropped', () => {
  const filter = { ignoredPortId: 0x01020304 };
  assert.deepEqual(
    [0x01020304, 0x04030201, 0].map((port) => delivers(filter, message(20, port))),
    [false, true, true],
  );
});

test('of some types only messages with these bytes are delivered, and all of other types', () => {
  const bodies = [[2, 32, 0, 0, 255, 73], [2, 32, 0, 0, 254, 73], [2, 32, 0, 0, 255, 2], []];
  for (const type of only.types)
    assert.deepEqual(
      bodies.map((body) => delivers({ only }, message(type, 0, ...body))),
      [true, false, false, false],
    );
  for (const body of bodies) assert.ok(delivers({ only }, message(20, 0, ...body)));
});

test('both at once', () => {
  const filter = { only, ignoredPortId: 9 };
  const ours = [2, 32, 0, 0, 255, 73];
  assert.deepEqual(
    [message(24, 9, ...ours), message(24, 8, ...ours), message(24, 8), message(16, 9), message(16, 8)].map(
      (each) => delivers(filter, each),
    ),
    [false, true, false, false, true],
  );
});
