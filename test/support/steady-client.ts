// A client that goes on asking until its input ends: each URL in turn, each request from a connection of its own, and one
// connection to the first URL that stays open all the time. Then prints `{"requests": number, "held": number,
// "handshakeRepetitions": number, "dataRepetitions": number, "failures": […]}`.
// Arguments: URL…
import { Agent, get } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { repeatedSegments } from './repeated-segments.js';

const urls = process.argv.slice(2);
const held = new Agent({ keepAlive: true, maxSockets: 1 });
/**
 * IPVS tells the answers of a real server apart by the client's address and port alone: a connection from the port of an earlier
 * one to another virtual server with the same real server takes the answers of that one, for the two minutes that IPVS remembers
 * it (seen with ipvsadm alone, Linux 6.1). So the open connection and each URL have ports that only they use, above those on which
 * kube-ipvs listens (10249 and 10256) and below node ports, and no port is used again within 135 seconds.
 */
const firstPort = 11_000;
const portsPerUrl = 9_000;
const heldPort = firstPort - 1;
/** Milliseconds. At most one request to each URL is sent in it, so a process that starts now begins behind the ports of an earlier one. */
const interval = 15;
let round = Math.floor(Date.now() / interval);
/** Milliseconds. A busy machine is slow, so only a request without an answer fails; `counts` has what was dropped. */
const patience = 60_000;
const failures: string[] = [];
/** Of the connection where it is the most: how often the kernel repeated its first packet, and packets of one request. */
const counts = { requests: 0, held: 0, handshakeRepetitions: 0, dataRepetitions: 0 };
const ending = new AbortController();
process.stdin.resume().on('end', () => ending.abort());

/** `agent`: false for a connection of its own. */
const ask = (url: string, agent: Agent | false, what: string, localPort: number): Promise<void> =>
  new Promise((resolve) => {
    const started = performance.now();
    const startedAt = Date.now();
    const taken = (): number => Math.round(performance.now() - started);
    const fail = (why: string): void => {
      failures.push(
        `${what} ${url} from port ${localPort}, begun at ${startedAt}: ${why} after ${taken()} ms`,
      );
      resolve();
    };
    let before = 0;
    const request = get(url, { agent, timeout: patience, localPort }, (response) => {
      const repeated = repeatedSegments(response.socket) - before;
      counts.dataRepetitions = Math.max(counts.dataRepetitions, repeated);
      if (agent !== false && !request.reusedSocket && counts.held > 0) fail('connected anew');
      response.resume().on('end', resolve);
    });
    const connected = (socket: Socket): void => {
      before = repeatedSegments(socket);
      if (!request.reusedSocket) counts.handshakeRepetitions = Math.max(counts.handshakeRepetitions, before);
    };
    request.on('socket', (socket) => {
      if (socket.connecting) socket.once('connect', () => connected(socket));
      else connected(socket);
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', (error) => fail(error.message));
  });

while (!ending.signal.aborted) {
  for (const [index, url] of urls.entries()) {
    await ask(url, false, 'new', firstPort + portsPerUrl * index + (round % portsPerUrl));
    counts.requests += 1;
  }
  await ask(urls[0] ?? '', held, 'held', heldPort);
  counts.held += 1;
  round += 1;
  await sleep(interval);
}
held.destroy();
console.log(JSON.stringify({ ...counts, failures }));
