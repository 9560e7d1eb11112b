import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Position } from '../support/cluster-network.js';
import type { PathLap } from './cluster-report.js';
import { families, webAddresses, webNodePort, type Family } from './cluster-world.js';
import { withPorts, type Path } from './paths.js';

const program = fileURLToPath(new URL('./cluster-client.js', import.meta.url));

const hostIn = (address: string, family: Family): string => (family === 'IPv4' ? address : `[${address}]`);

/** New and kept connections to each frontend over both families. */
const pathsOf = (frontends: readonly (keyof typeof webAddresses)[]): readonly Path[] =>
  withPorts(
    frontends.flatMap((frontend) =>
      families.flatMap((family) =>
        [false, true].map((kept) => ({
          name: `${frontend} ${family}, ${kept ? 'kept' : 'new'}`,
          url: `http://${hostIn(webAddresses[frontend][family], family)}:${frontend === 'NodePort' ? webNodePort : 80}/`,
          kept,
          lanes: 1,
          pauseMilliseconds: 150,
        })),
      ),
    ),
    1_500,
  );

class Client {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(
    readonly from: Position,
    paths: readonly Path[],
  ) {
    const named = paths.map((path) => ({ ...path, name: `${from} → ${path.name}` }));
    const command = [process.execPath, ...process.execArgv, program, JSON.stringify(named)];
    this.#child = spawn('ip', ['netns', 'exec', from, ...command], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#child.stdout === null) throw new Error('no standard output');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async ready(): Promise<void> {
    await this.#lines.next();
  }

  async lap(): Promise<readonly PathLap[]> {
    this.#child.stdin?.write('lap\n');
    return JSON.parse(String((await this.#lines.next()).value)) as readonly PathLap[];
  }

  end(): void {
    this.#child.stdin?.end();
  }
}

/** Requests to `web` from outside, from the node and from a pod, all the time. */
export class ClusterTraffic {
  private constructor(private readonly clients: readonly Client[]) {}

  static async start(): Promise<ClusterTraffic> {
    const clients = [
      new Client('client', pathsOf(['ClusterIP', 'NodePort', 'LoadBalancer'])),
      new Client('node', pathsOf(['ClusterIP'])),
      new Client('pod1', pathsOf(['ClusterIP'])),
    ];
    for (const client of clients) await client.ready();
    return new ClusterTraffic(clients);
  }

  /** What became of the requests that ended since it was asked before. */
  async lap(): Promise<readonly PathLap[]> {
    return (await Promise.all(this.clients.map((client) => client.lap()))).flat();
  }

  end(): void {
    for (const client of this.clients) client.end();
  }
}
