import { tellOfEach } from '../apply/news.js';
import type { Logger } from '../base/log.js';
import type { ServiceKey } from '../model/service.js';
import type { VirtualServerKey } from '../model/virtual-server.js';
import type { Contested, ContestedVirtualServer } from '../plan/contested.js';
import type { Problem } from '../plan/fragment.js';
import { ipvsadmService } from '../plan/table.js';
import { problemEvent } from './events/problem-events.js';
import type { EventRecorder, RecordedEvent } from './events/recorder.js';

export interface ContestedReporterParts {
  readonly contested: Pick<Contested, 'all'>;
  /** metadata.uid of a Service. */
  readonly uidOf: (service: ServiceKey) => string | undefined;
  readonly events: EventRecorder;
  readonly log: Logger;
}

const problemOf = ({ key, identity, service }: ContestedVirtualServer): Problem => ({
  service,
  reason: 'ForeignVirtualServer',
  message:
    `${key} is in the kernel and was not made by kube-ipvs: it is left alone, and ${service} is not served there. ` +
    `Delete it on the node (ipvsadm -D ${ipvsadmService(identity)}), ` +
    'or let kube-ipvs have it: annotate the Service with ipvs.kube-ipvs.dev/take-over-foreign: "true"',
});

/** Tells of virtual servers that Services ask for and somebody else has made: once when it is so, once when it is over. */
export class ContestedReporter {
  readonly #told = new Map<VirtualServerKey, ServiceKey>();

  constructor(private readonly parts: ContestedReporterParts) {}

  /** To be called after each sync. */
  look(): void {
    const { contested, events, log } = this.parts;
    const over: object[] = [];
    const news: object[] = [];
    const now = new Map([...contested.all()].map((each) => [each.key, each]));
    for (const [key, service] of this.#told) {
      if (now.get(key)?.service === service) continue;
      this.#told.delete(key);
      over.push({ service, virtualServer: key });
    }
    tellOfEach(over, (fields) =>
      log.info(fields, 'no virtual server of somebody else is in the way any more'),
    );
    for (const [key, each] of now) {
      if (this.#told.has(key)) continue;
      this.#told.set(key, each.service);
      const { service, reason, message } = problemOf(each);
      events.record(this.#eventOf(each));
      news.push({ service, reason, problem: message });
    }
    tellOfEach(news, (fields) => log.warn(fields, 'a part of a Service is not served as it asks'));
  }

  /** What is so now. */
  *problemEvents(): Iterable<RecordedEvent> {
    for (const each of this.parts.contested.all()) yield this.#eventOf(each);
  }

  #eventOf(each: ContestedVirtualServer): RecordedEvent {
    return problemEvent(problemOf(each), this.parts.uidOf(each.service));
  }
}
