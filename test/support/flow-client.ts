// A client that keeps one socket. Arguments: tcp|udp ADDRESS PORT [LOCAL_PORT].
// tcp: connects; sends a request for every line of its input and prints the answer, or the error that ends the connection.
// udp: sends every 100 ms from the one socket, and prints who answered, each time that it changes; `-` after half a second without.
import { createSocket } from 'node:dgram';
import { createConnection, isIPv6 } from 'node:net';
import { createInterface } from 'node:readline';

const [kind = 'tcp', address = '', port = '', localPort = '0'] = process.argv.slice(2);
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const codeOf = (error: Error): string => ('code' in error ? String(error.code) : error.message);

const keepTcp = (): void => {
  const socket = createConnection({ host: address, port: Number(port), localPort: Number(localPort) });
  const host = isIPv6(address) ? `[${address}]` : address;
  const ask = (): void => void socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  socket.on('data', (data) => say(data.toString().split('\r\n\r\n')[1] ?? ''));
  socket.on('error', (error) => {
    say(codeOf(error));
    process.exit(0);
  });
  createInterface({ input: process.stdin })
    .on('line', ask)
    .on('close', () => socket.destroy());
};

const keepUdp = (): void => {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  let last = '';
  let heardAt = Date.now();
  const tell = (answer: string): void => {
    if (answer !== last) say(answer);
    last = answer;
  };
  socket.on('message', (message) => {
    heardAt = Date.now();
    tell(message.toString());
  });
  // A refusal is told of the packet before; the socket stays.
  socket.on('error', () => undefined);
  socket.bind(Number(localPort), () => {
    const timer = setInterval(() => {
      socket.send('hello', Number(port), address, () => undefined);
      if (Date.now() - heardAt > 500) tell('-');
    }, 100);
    createInterface({ input: process.stdin }).on('close', () => {
      clearInterval(timer);
      socket.close();
    });
  });
};

if (kind === 'tcp') keepTcp();
else keepUdp();
