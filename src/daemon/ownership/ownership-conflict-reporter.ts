import { logSampled } from '../../base/log-sampled.js';
import type { Logger } from '../../base/log.js';
import { StateLog } from '../../base/state-log.js';
import type { ServiceKey } from '../../model/service.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import type {
  ForeignVirtualServers,
  OwnershipConflict,
} from '../../plan/ownership/foreign-virtual-servers.js';
import type { Problem } from '../../plan/render/fragment.js';
import { ipvsadmService } from '../../plan/output/ipvs-table-formats.js';
import type { OwnershipChanges } from './ownership-changes.js';
import { problemEvent } from '../events/problem-events.js';
import type { ChangeLog } from '../history/change-log.js';
import type { EventRecorder, RecordedEvent } from '../events/event-recorder.js';

export interface OwnershipConflictReporterParts {
  readonly foreignVirtualServers: Pick<ForeignVirtualServers, 'conflicts' | 'conflictAt'>;
  /** metadata.uid of a Service. */
  readonly uidOf: (service: ServiceKey) => string | undefined;
  readonly events: EventRecorder;
  /** Records conflicts in the log of changes. */
  readonly note?: ChangeLog['note'];
  readonly log: Logger;
}

const problemOf = ({ key, identity, service }: OwnershipConflict): Problem => ({
  service,
  reason: 'ForeignVirtualServer',
  message:
    `${key} is in the kernel but was not created by kube-ipvs. It is not changed, and ${service} is not served there. ` +
    `Delete it on the node (ipvsadm -D ${ipvsadmService(identity)}), ` +
    'or let kube-ipvs take it over: annotate the Service with ipvs.kube-ipvs.dev/take-over-foreign: "true"',
});

/** Reports virtual servers that Services ask for and another program created: when a conflict begins, and when it ends. */
export class OwnershipConflictReporter {
  /** The reason is the Service. */
  readonly #conflicts = new StateLog<VirtualServerKey>();

  constructor(private readonly parts: OwnershipConflictReporterParts) {}

  /** Costs one visit to each of the keys. */
  report({ keys }: Pick<OwnershipChanges, 'keys'>): void {
    const { foreignVirtualServers, events, note, log } = this.parts;
    const current = new Map<VirtualServerKey, OwnershipConflict>();
    const resolved: object[] = [];
    for (const key of keys) {
      const conflict = foreignVirtualServers.conflictAt(key);
      if (conflict !== undefined) current.set(key, conflict);
      else
        this.#conflicts.end(key, (service) => {
          resolved.push({ service, virtualServer: key });
          note?.({ event: 'conflict-ended', service, virtualServer: key });
        });
    }
    logSampled('ownership-conflict-resolved', resolved, (fields) =>
      log.info(fields, 'Ownership conflict resolved'),
    );
    const added: object[] = [];
    for (const [key, conflict] of current)
      this.#conflicts.begin(key, conflict.service, () => {
        const { service, reason, message } = problemOf(conflict);
        events.record(this.#eventOf(conflict));
        note?.({ event: 'conflict-begun', service, virtualServer: key });
        added.push({ service, reason, problem: message });
      });
    logSampled('service-problem', added, (fields) => log.warn(fields, 'Service not fully served'));
  }

  /** The Events of the conflicts that exist now. */
  *problemEvents(): Iterable<RecordedEvent> {
    for (const each of this.parts.foreignVirtualServers.conflicts()) yield this.#eventOf(each);
  }

  #eventOf(each: OwnershipConflict): RecordedEvent {
    return problemEvent(problemOf(each), this.parts.uidOf(each.service));
  }
}
