import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RawNetlinkSocket } from 'netlink';
import { nativeShims } from '../../native-shims/index.js';
import { Protocol } from '../../src/netlink/constants.js';
import { socketDescriptor } from '../../src/netlink/socket-descriptor.js';

test('the descriptor of a socket that the package opened is found by its protocol and port id', () => {
  const socket = new RawNetlinkSocket(Protocol.generic);
  const { port } = socket.address();
  const descriptor = socketDescriptor(Protocol.generic, port);
  assert.ok(descriptor !== undefined);
  nativeShims().setOption(descriptor, 1, 8, 60_000);
  assert.equal(socket.getRecvBufferSize(), 120_000);
  assert.equal(socketDescriptor(Protocol.route, port), undefined);
  assert.equal(socketDescriptor(Protocol.generic, port + 1), undefined);
  socket.close();
});
