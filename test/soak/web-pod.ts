// A pod's web server that leaves as a good one does: while it drains it still serves everyone, and tells each client to close.
// Arguments: NAME PORT. A line of input each: `drain`, `close` (whatever is open is reset), `open`, `count`. Each is answered with
// a line: the number of connections that are open.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import type { Socket } from 'node:net';

const [name = '', port = '8080'] = process.argv.slice(2);
const connections = new Set<Socket>();
let drains = false;

const server = createServer((_, response) => {
  if (drains) response.setHeader('Connection', 'close');
  response.end(name);
});
// An idle connection is its client's to close: a server that does it may cross a request on its way.
server.keepAliveTimeout = 600_000;
server.on('connection', (socket: Socket) => {
  connections.add(socket);
  socket.once('close', () => connections.delete(socket));
});

const listen = (): Promise<void> => new Promise((resolve) => void server.listen(Number(port), '::', resolve));

const commands: Readonly<Record<string, () => void | Promise<void>>> = {
  drain: () => {
    drains = true;
  },
  close: () => {
    server.close();
    for (const socket of connections) socket.resetAndDestroy();
  },
  open: () => {
    drains = false;
    return listen();
  },
  count: () => {},
};

await listen();
process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  await commands[line]?.();
  process.stdout.write(`${connections.size}\n`);
}
process.exit();
