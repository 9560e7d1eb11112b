import { Agent, get } from 'node:http';
import type { Path } from './paths.js';

/**
 * Each connection has a port of the path's own, and none that was in use lately. IPVS tells the answers of a real server apart by
 * the client's address and port alone: a connection from the same port to another virtual server with that real server takes the
 * answers of the older one.
 */
export const portsOf = ({ firstPort, ports }: Path): (() => number) => {
  let next = 0;
  return () => firstPort + (next++ % ports);
};

/** A kept connection was lost without a word of the server: to the client that is a reset. */
const connectedAnew = (): Error => Object.assign(new Error('connected anew'), { code: 'ECONNRESET' });

/** One lane of a path: a request at a time. */
export class Lane {
  #agent: Agent | undefined;
  /** A kept connection is left only when the server has said that it closes it. */
  #mayConnect = true;
  /** How many it has made. */
  connections = 0;

  constructor(
    private readonly path: Path,
    private readonly nextPort: () => number,
    private readonly patienceMilliseconds: number,
  ) {}

  /** One request; rejects with what went wrong. */
  async ask(): Promise<void> {
    try {
      await this.#request();
    } catch (error) {
      this.#mayConnect = true;
      throw error;
    } finally {
      if (this.#mayConnect) this.leave();
    }
  }

  /** Closes a connection that is open. */
  leave(): void {
    this.#agent?.destroy();
    this.#agent = undefined;
  }

  #request(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.path.kept) this.#agent ??= new Agent({ keepAlive: true, maxSockets: 1 });
      const options = {
        agent: this.#agent ?? false,
        timeout: this.patienceMilliseconds,
        localPort: this.nextPort(),
      };
      const sent = get(this.path.url, options, (response) => {
        if (!sent.reusedSocket) {
          this.connections += 1;
          if (this.path.kept && !this.#mayConnect) reject(connectedAnew());
        }
        this.#mayConnect = !this.path.kept || response.headers.connection === 'close';
        response.on('error', reject);
        response.resume().on('end', resolve);
      });
      sent.on('timeout', () => sent.destroy(new Error('no answer')));
      sent.on('error', reject);
    });
  }
}
