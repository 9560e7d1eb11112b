import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { text } from 'node:stream/consumers';
import type { Position } from '../support/cluster-network.js';
import { newPathsFrom, pathsFrom, type PathReport } from './paths.js';

const program = fileURLToPath(new URL('./path-client.js', import.meta.url));

/** Requests from several positions to the same URLs, all the time. */
export class Traffic {
  readonly #clients: readonly {
    readonly end: () => void;
    readonly reports: Promise<readonly PathReport[]>;
  }[];

  constructor(
    positions: readonly Position[],
    urls: Readonly<Record<string, string>>,
    connections: 'all' | 'new' = 'all',
  ) {
    this.#clients = positions.map((position) => {
      const paths = JSON.stringify((connections === 'new' ? newPathsFrom : pathsFrom)(position, urls));
      const command = ['netns', 'exec', position, process.execPath, ...process.execArgv, program, paths];
      const child = spawn('ip', command, { stdio: ['pipe', 'pipe', 'inherit'] });
      return {
        end: () => void child.stdin.end(),
        reports: text(child.stdout).then((output) => JSON.parse(output) as readonly PathReport[]),
      };
    });
  }

  /** Ends it; what became of the requests, path by path. */
  async end(): Promise<readonly PathReport[]> {
    for (const client of this.#clients) client.end();
    return (await Promise.all(this.#clients.map(({ reports }) => reports))).flat();
  }
}
