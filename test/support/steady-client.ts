// A client that goes on asking until its input ends: each URL in turn, each request from a connection of its own, and one
// connection to the first URL that stays open all the time. Then prints `{"requests": number, "held": number, "slowest":
// milliseconds, "failures": […]}`.
// Arguments: URL…
import { Agent, get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const urls = process.argv.slice(2);
const held = new Agent({ keepAlive: true, maxSockets: 1 });
/**
 * Below the ephemeral ports, so that no other request has it. IPVS tells the answers of a real server apart by the client's
 * address and port alone: a later connection from the same port to another virtual server with the same real server takes the
 * answers of the first (seen with ipvsadm alone, Linux 6.1).
 */
const heldPort = 20_000;
const failures: string[] = [];
const counts = { requests: 0, held: 0, slowest: 0 };
const ending = new AbortController();
process.stdin.resume().on('end', () => ending.abort());

/** `agent`: false for a connection of its own. */
const ask = (url: string, agent: Agent | false, what: string): Promise<void> =>
  new Promise((resolve) => {
    const started = performance.now();
    const done = (): void => {
      counts.slowest = Math.max(counts.slowest, Math.round(performance.now() - started));
      resolve();
    };
    const fail = (why: string): void => {
      failures.push(`${what} ${url} at ${Date.now()}: ${why}`);
      done();
    };
    const port = agent === false ? {} : { localPort: heldPort };
    const request = get(url, { agent, timeout: 5_000, ...port }, (response) => {
      if (agent !== false && !request.reusedSocket && counts.held > 0) fail('connected anew');
      response.resume().on('end', done);
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', (error) => fail(error.message));
  });

while (!ending.signal.aborted) {
  for (const url of urls) {
    await ask(url, false, 'new');
    counts.requests += 1;
  }
  await ask(urls[0] ?? '', held, 'held');
  counts.held += 1;
  await sleep(10);
}
held.destroy();
console.log(JSON.stringify({ ...counts, failures }));
