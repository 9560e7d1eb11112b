import { logSampled } from '../../base/log-sampled.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import type { ForeignVirtualServers } from '../../plan/ownership/foreign-virtual-servers.js';
import type { OwnershipChanges } from './ownership-changes.js';

/** Logs foreign virtual servers that no Service asks for, each once, of many at a time the first ones. */
export class ForeignVirtualServerReporter {
  readonly #foreign = new StateLog<VirtualServerKey>();

  constructor(
    private readonly foreignVirtualServers: Pick<ForeignVirtualServers, 'conflictAt'>,
    private readonly log: Logger,
  ) {}

  /** Costs one visit to each of the keys. */
  report({ keys, foreign }: OwnershipChanges): void {
    const added: object[] = [];
    for (const key of keys) {
      if (!foreign.has(key)) this.#foreign.end(key);
      // A conflict has its own reporter.
      else if (this.#foreign.has(key) || this.foreignVirtualServers.conflictAt(key) === undefined)
        this.#foreign.begin(key, '', () => added.push({ virtualServer: key }));
    }
    logSampled('foreign-virtual-server-found', added, (fields) =>
      this.log.info(fields, 'Virtual server of another program found; not changed'),
    );
  }
}
