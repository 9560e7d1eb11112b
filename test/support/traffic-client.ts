// Sends requests one after the other, each from a new socket, and prints the answers, one a line.
// Arguments: tcp|udp ADDRESS PORT COUNT. With `hold`: opens COUNT connections at once, keeps them, and follows its input:
// `close ANSWER` ends the connections that gave this answer, `open` makes one more.
import { createSocket } from 'node:dgram';
import { createConnection, isIPv6, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

const [kind = 'tcp', address = '', port = '', count = '1'] = process.argv.slice(2);
const timeoutMilliseconds = 3_000;

interface Held {
  readonly socket: Socket;
  readonly answer: string;
}

const openHttp = (connection: 'close' | 'keep-alive'): Promise<Held> =>
  new Promise((resolve, reject) => {
    const socket = createConnection({ host: address, port: Number(port), timeout: timeoutMilliseconds });
    socket.on('error', reject);
    socket.on('timeout', () => {
      // It would try for two minutes, and keep the process.
      socket.destroy();
      reject(new Error('no answer'));
    });
    socket.on('data', (data) => resolve({ socket, answer: data.toString().split('\r\n\r\n')[1] ?? '' }));
    const host = isIPv6(address) ? `[${address}]` : address;
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: ${connection}\r\n\r\n`);
  });

const askTcp = async (): Promise<string> => {
  const { socket, answer } = await openHttp('close');
  socket.destroy();
  return answer;
};

const askUdp = (): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    // An open socket would keep the process.
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.close();
      reject(error);
    };
    const timer = setTimeout(() => fail(new Error('no answer')), timeoutMilliseconds);
    socket.on('message', (message) => {
      clearTimeout(timer);
      socket.close();
      resolve(message.toString());
    });
    socket.on('error', fail);
    socket.connect(Number(port), address, () => socket.send('hello'));
  });

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const told = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error);

const hold = async (): Promise<void> => {
  const held: Held[] = [];
  const open = async (): Promise<void> => {
    const one = await openHttp('keep-alive');
    held.push(one);
    say(one.answer);
  };
  for (let index = 0; index < Number(count); index += 1) await open();
  for await (const line of createInterface({ input: process.stdin })) {
    const [word, answer] = line.split(' ');
    if (word === 'open') await open();
    if (word === 'close')
      for (const one of held.filter((each) => each.answer === answer)) one.socket.destroy();
  }
  for (const one of held) one.socket.destroy();
};

if (kind === 'hold') await hold();
else {
  for (let index = 0; index < Number(count); index += 1) {
    say(await (kind === 'udp' ? askUdp() : askTcp()).catch(told));
  }
}
