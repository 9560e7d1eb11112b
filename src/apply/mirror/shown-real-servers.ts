import { Yielder } from '../../base/async.js';
import { digestOf, RealServersDigest } from '../../kernel/ipvs/table-file/digest.js';
import { readTableFile, type TableFile } from '../../kernel/ipvs/table-file/table-file.js';
import { keyOfLine } from '../../kernel/ipvs/table-file/table-parser.js';
import type { RealServer, VirtualServerKey } from '../../model/virtual-server.js';
import { maximumTurnMilliseconds } from './round.js';

/** What the kernel's table file shows of the real servers of each virtual server by address. */
export class ShownRealServers {
  readonly #digests: ReadonlyMap<VirtualServerKey, number>;

  private constructor(digests: ReadonlyMap<VirtualServerKey, number>) {
    this.#digests = digests;
  }

  /** Rejects with a TableFileError if the file cannot be used. */
  static async read(file: TableFile): Promise<ShownRealServers> {
    const digests = new Map<VirtualServerKey, number>();
    const digest = new RealServersDigest();
    let last: VirtualServerKey | undefined;
    const end = (): void => {
      if (last !== undefined) digests.set(last, digest.value);
      digest.reset();
    };
    const turns = new Yielder(maximumTurnMilliseconds);
    await readTableFile(file, {
      virtualServer: (line) => {
        end();
        last = line.protocol === 'FWM' ? undefined : keyOfLine(line);
      },
      realServer: (line) => digest.add(line),
      afterPiece: () => turns.yieldIfDue(),
    });
    end();
    return new ShownRealServers(digests);
  }

  /** Whether the virtual server has these real servers, as far as the file shows. */
  are(key: VirtualServerKey, servers: Iterable<RealServer>): boolean {
    return this.#digests.get(key) === digestOf(servers);
  }
}
