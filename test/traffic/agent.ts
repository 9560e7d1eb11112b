// Stands in one network namespace: asks what it is told to, and answers on ports, over IPv4 and IPv6, TCP, UDP and SCTP.
// Arguments: NAME PORT[=LINE]…: on PORT it answers `NAME ADDRESS PORT`, the source that it saw, or LINE; on PORT=@echo what it got,
// to the end of the line.
// Input: a Question a line. Output: a line `ready`, then a Reply or a Received a line.
import { spawn } from 'node:child_process';
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { createConnection, createServer, isIPv6, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { sctpProgram } from '../support/perl-programs.js';
import type { Question, Received, Reply } from './messages.js';

const [name = '', ...answering] = process.argv.slice(2);

const say = (message: Reply | Received): void => void process.stdout.write(`${JSON.stringify(message)}\n`);
const plain = (address: string | undefined): string => (address ?? '').replace(/^::ffff:/, '');

// ---- answering

const echo = '@echo';

const serveUdp = (port: number, line: string | undefined): Promise<void> => {
  const socket = createSocket('udp6');
  socket.on('message', (payload, { address, port: from }) => {
    const source = plain(address);
    say({ received: payload.toString('latin1', 0, 40), by: name, source });
    // The sender may be out of reach: that is for the one who asks to see.
    socket.send(line === echo ? payload : (line ?? `${name} ${source} ${from}`), from, address, () => {});
  });
  return new Promise((resolve) => socket.bind(port, '::', resolve));
};

const echoLine = (socket: Socket): void => {
  let got = '';
  socket.on('data', (data) => {
    got += data.toString('latin1');
    if (got.endsWith('\n')) socket.end(got);
  });
};

const serveTcp = (port: number, line: string | undefined): Promise<void> => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    if (line === echo) return echoLine(socket);
    socket.end(`${line ?? `${name} ${plain(socket.remoteAddress)} ${socket.remotePort}`}\n`);
  });
  return new Promise((resolve) => void server.listen(port, '::', resolve));
};

const serveSctp = (port: number): void => {
  const server = spawn('perl', [sctpProgram, 'serve', name, String(port)], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  process.once('exit', () => server.kill('SIGKILL'));
};

// ---- asking

// Each request has a source port that this namespace never used before, so that no connection entry of an earlier one applies to
// it, and one that is neither a port of masqueraded requests (run.ts) nor a node port.
let lastPort = 20_000;
const nextPort = (): number => (lastPort += 1);

/** What happened, in a word; the kernel tells a sender whose packet was dropped on its way out EPERM. */
const outcomeOf = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  return { ECONNREFUSED: 'refused', EPERM: 'timeout', ETIMEDOUT: 'timeout' }[code] ?? code;
};

const askTcp = ({ address, port, patience, from, say: words }: Question): Promise<string> =>
  new Promise((resolve) => {
    const socket = createConnection({ host: address, port, localPort: from ?? nextPort() });
    if (words !== undefined) socket.write(words);
    const end = (outcome: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(() => end('timeout'), patience);
    let answer = '';
    socket.on('data', (data) => (answer += data.toString()));
    // The server is the first to end, so that the port can be used again at once.
    socket.on('end', () => end(answer.split(/[\r\n]/)[0] ?? ''));
    socket.on('error', (error) => end(outcomeOf(error)));
  });

/** Resolves to what was in the way, as a missing route. */
const connectedUdp = (
  socket: DatagramSocket,
  { address, port, from }: Question,
): Promise<Error | undefined> =>
  new Promise((resolve) => {
    // An error of the connect comes to its callback, which the types do not know.
    const connected = (error?: Error): void => resolve(error);
    socket.bind(from ?? nextPort(), () => socket.connect(port, address, connected));
  });

const askUdp = async (question: Question, payload: string): Promise<string> => {
  const socket = createSocket(isIPv6(question.address) ? 'udp6' : 'udp4');
  const answer = new Promise<string>((resolve) => {
    socket.on('message', (message) => resolve(message.toString()));
    socket.on('error', (error) => resolve(outcomeOf(error)));
    setTimeout(() => resolve('timeout'), question.patience);
  });
  const inTheWay = await connectedUdp(socket, question);
  if (inTheWay === undefined) socket.send(question.say ?? payload);
  const outcome = inTheWay === undefined ? await answer : outcomeOf(inTheWay);
  socket.close();
  return outcome;
};

const seconds = ({ patience }: Question): string => String(Math.ceil(patience / 1000));

/** Answers come in the order of the requests, as they are sent one after the other. */
class SctpAsker {
  readonly #waiting: ((answer: string) => void)[] = [];
  readonly #child = spawn('perl', [sctpProgram, 'ask'], { stdio: ['pipe', 'pipe', 'inherit'] });

  constructor() {
    this.#child.on('close', (status) => {
      throw new Error(`sctp.pl ended with ${status}`);
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#waiting.shift()?.(line));
  }

  ask(question: Question): Promise<string> {
    // A socket that is not bound tells its peer all addresses of the machine: those of a node with many VIPs do not fit into a packet.
    const source = name === 'node' ? [question.address] : [];
    this.#child.stdin.write(`${[question.address, question.port, seconds(question), ...source].join(' ')}\n`);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

let sctpAsker: SctpAsker | undefined;

const ping = (question: Question): Promise<string> =>
  new Promise((resolve) => {
    const options = ['-n', '-c1', `-W${seconds(question)}`];
    const child = spawn('ping', [...options, question.address], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('close', (status) => {
      if (status === 0) resolve('answered');
      else resolve(/unreachable/i.test(output) ? 'refused' : 'timeout');
    });
  });

const askOnce = (question: Question, payload: string): Promise<string> => {
  switch (question.protocol) {
    case 'tcp':
      return askTcp(question);
    case 'udp':
      return askUdp(question, payload);
    case 'sctp':
      return (sctpAsker ??= new SctpAsker()).ask(question);
    case 'ping':
      return ping(question);
  }
};

/** `a 10.0.0.1 4711` is as good an answer as `a 10.0.0.1 4712`. */
const withoutPort = (answer: string): string => answer.split(' ').slice(0, 2).join(' ');

const ask = async (question: Question): Promise<void> => {
  const answers: string[] = [];
  const distinct = new Set<string>();
  const enough = (): boolean =>
    answers.length >= question.most ||
    (answers.at(-1) === 'timeout' && !question.pastTimeout) ||
    (answers.length >= question.least && distinct.size >= question.distinct);
  while (!enough()) {
    const answer = await askOnce(question, `${question.id}.${answers.length}`);
    answers.push(answer);
    distinct.add(withoutPort(answer));
  }
  say({ id: question.id, answers });
};

await Promise.all(
  answering.flatMap((text) => {
    const [port, line] = text.split('=');
    if (line === undefined) serveSctp(Number(port));
    return [serveTcp(Number(port), line), serveUdp(Number(port), line)];
  }),
);
process.stdout.write('ready\n');
// The one who asks sends questions only.
for await (const line of createInterface({ input: process.stdin })) void ask(JSON.parse(line) as Question);
process.exit();
