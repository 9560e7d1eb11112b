import { logSampled } from '../../base/log-sampled.js';
import type { Logger } from '../../base/log.js';
import type { ServiceKey } from '../../model/service.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import type {
  ForeignVirtualServers,
  OwnershipConflict,
} from '../../plan/ownership/foreign-virtual-servers.js';
import type { Problem } from '../../plan/render/fragment.js';
import { ipvsadmService } from '../../plan/output/ipvs-table-formats.js';
import { problemEvent } from '../events/problem-events.js';
import type { EventRecorder, RecordedEvent } from '../events/event-recorder.js';

export interface OwnershipConflictReporterParts {
  readonly foreignVirtualServers: Pick<ForeignVirtualServers, 'conflicts'>;
  /** metadata.uid of a Service. */
  readonly uidOf: (service: ServiceKey) => string | undefined;
  readonly events: EventRecorder;
  readonly log: Logger;
}

const problemOf = ({ key, identity, service }: OwnershipConflict): Problem => ({
  service,
  reason: 'ForeignVirtualServer',
  message:
    `${key} is in the kernel and was not made by kube-ipvs: it is left alone, and ${service} is not served there. ` +
    `Delete it on the node (ipvsadm -D ${ipvsadmService(identity)}), ` +
    'or let kube-ipvs have it: annotate the Service with ipvs.kube-ipvs.dev/take-over-foreign: "true"',
});

/** Tells of virtual servers that Services ask for and somebody else has made: once when it is so, once when it is over. */
export class OwnershipConflictReporter {
  readonly #reported = new Map<VirtualServerKey, ServiceKey>();

  constructor(private readonly parts: OwnershipConflictReporterParts) {}

  /** To be called after each sync. */
  report(): void {
    const { foreignVirtualServers, events, log } = this.parts;
    const resolved: object[] = [];
    const added: object[] = [];
    const current = new Map([...foreignVirtualServers.conflicts()].map((each) => [each.key, each]));
    for (const [key, service] of this.#reported) {
      if (current.get(key)?.service === service) continue;
      this.#reported.delete(key);
      resolved.push({ service, virtualServer: key });
    }
    logSampled(resolved, (fields) =>
      log.info(fields, 'no virtual server of somebody else is in the way any more'),
    );
    for (const [key, each] of current) {
      if (this.#reported.has(key)) continue;
      this.#reported.set(key, each.service);
      const { service, reason, message } = problemOf(each);
      events.record(this.#eventOf(each));
      added.push({ service, reason, problem: message });
    }
    logSampled(added, (fields) => log.warn(fields, 'a part of a Service is not served as it asks'));
  }

  /** What is so now. */
  *problemEvents(): Iterable<RecordedEvent> {
    for (const each of this.parts.foreignVirtualServers.conflicts()) yield this.#eventOf(each);
  }

  #eventOf(each: OwnershipConflict): RecordedEvent {
    return problemEvent(problemOf(each), this.parts.uidOf(each.service));
  }
}
