// A client that goes on asking until its input ends: each URL in turn, each request from a connection of its own, and one
// connection to the first URL that stays open all the time. Then prints `{"requests": number, "held": number, "slowest":
// milliseconds, "failures": […]}`.
// Arguments: URL…
import { Agent, get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

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
const failures: string[] = [];
const counts = { requests: 0, held: 0, slowest: 0 };
const ending = new AbortController();
process.stdin.resume().on('end', () => ending.abort());

/** `agent`: false for a connection of its own. */
const ask = (url: string, agent: Agent | false, what: string, localPort: number): Promise<void> =>
  new Promise((resolve) => {
    const started = performance.now();
    const startedAt = Date.now();
    const taken = (): number => Math.round(performance.now() - started);
    const done = (): void => {
      counts.slowest = Math.max(counts.slowest, taken());
      resolve();
    };
    const fail = (why: string): void => {
      failures.push(
        `${what} ${url} from port ${localPort}, begun at ${startedAt}: ${why} after ${taken()} ms`,
      );
      done();
    };
    const request = get(url, { agent, timeout: 5_000, localPort }, (response) => {
      if (agent !== false && !request.reusedSocket && counts.held > 0) fail('connected anew');
      response.resume().on('end', done);
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
