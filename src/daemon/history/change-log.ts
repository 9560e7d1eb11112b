import type { ChangeRecorder } from '../../apply/change-recorder.js';
import type { DrainEvent } from '../../apply/drain/drain-counters.js';
import type { RefusedOperation, RetryTarget } from '../../apply/retry/refused-operations.js';
import type { LogRecord } from '../../admin-api/log-response.js';
import { readClocks, type Instant } from '../../base/instant.js';
import type { RunCause } from '../../model/change-cause.js';
import type { Endpoint } from '../../model/endpoint.js';
import { operationKey, type Operation } from '../../model/operation.js';
import { planEntry, type ObservedVirtualServers } from '../../model/plan-entry.js';
import type { ServiceKey } from '../../model/service.js';
import type { RealServerKey, VirtualServerKey } from '../../model/virtual-server.js';
import { isDrainRecord } from '../../plan/drain/drain-records.js';
import { dependsOnService, type ChangeCauses } from './change-causes.js';
import { RecordBudget } from './record-budget.js';
import { RecordRing, type StoredRecord } from './record-ring.js';
import { ChangeSummary } from './change-summary.js';

/** More than the records and summaries of an hour, however much changes. */
const ringLimits = { records: 12_000, bytes: 4 << 20 };

/** The least time between two summaries. */
const summaryInterval = 10_000;

export interface ChangeLogParts {
  readonly causes: ChangeCauses;
  readonly observed: ObservedVirtualServers;
  /** The endpoint behind a real server, as far as it is known. */
  readonly endpointOf: (of: VirtualServerKey, realServer: RealServerKey) => Endpoint | undefined;
  readonly clocks?: () => Instant;
}

/** A record without what every record has. */
export type LogEntry = Omit<LogRecord, 'id' | 'at'>;

export interface LogQuery {
  /** Only records with a higher number. */
  readonly after: number;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Only records of this Service, and summaries. */
  readonly service: string | undefined;
}

/** Drain records say what the records of drains and of changed weights say. */
const isBookkeeping = (operation: Operation): boolean =>
  'element' in operation && isDrainRecord(operation.element.key);

/**
 * What kube-ipvs changed in the kernel lately, and why, bounded in memory. Where much changes at once, the rest is counted in a
 * summary. Numbers of records grow over restarts, because they begin with the time of the start.
 */
export class ChangeLog implements ChangeRecorder {
  readonly #ring: RecordRing;
  readonly #budget = new RecordBudget();
  readonly #summary = new ChangeSummary();
  readonly #listeners = new Set<() => void>();
  readonly #clocks: () => Instant;
  readonly #startedAt: number;
  #run: RunCause = 'start';
  /** The time of the current run's records: when it changed something first. */
  #runAt: Instant | undefined;
  #summarizedAt = -Infinity;

  constructor(private readonly parts: ChangeLogParts) {
    this.#clocks = parts.clocks ?? readClocks;
    this.#startedAt = this.#clocks().date;
    this.#ring = new RecordRing(ringLimits, this.#startedAt);
  }

  /** Since when every record is kept, in milliseconds since 1970. */
  get keptSince(): number {
    return this.#ring.droppedAt ?? this.#startedAt;
  }

  readonly began = (run: RunCause): void => {
    this.#run = run;
    this.#runAt = undefined;
  };

  readonly applied = (operation: Operation, run: RunCause): void => {
    if (isBookkeeping(operation)) return;
    const { causes, observed } = this.parts;
    const isCounted = this.#budget.isRunOver;
    // A full sync looks for the Service of its first operations only.
    const service = isCounted && !dependsOnService(run) ? undefined : causes.serviceOf(operation);
    const cause = causes.causeOf(service, run, operation);
    const now = isCounted ? undefined : this.#timeOfRun();
    if (now === undefined || !this.#budget.takeOperation(service, now))
      return this.#summary.countOperation(operation, cause, this.#clocks);
    const entry = planEntry(operation, observed);
    const backend =
      'server' in operation && 'of' in operation
        ? this.#backend(operationKey(operation), operation.server.key, service)
        : {};
    this.#add({ event: 'changed', cause, ...withService(service), ...entry, ...backend }, now);
  };

  readonly refused = (target: RetryTarget, { operation, reason }: RefusedOperation): void => {
    const service = this.#serviceOfTarget(target);
    const cause = this.parts.causes.causeOf(service, this.#run);
    this.note({ event: 'refused', cause, ...withService(service), operation, reason });
  };

  readonly drain = ({ of, realServer, end }: DrainEvent): void => {
    const service = this.parts.causes.serviceOfVirtualServer(of);
    this.note({
      event: end === undefined ? 'drain-begun' : 'drain-ended',
      // How else a drain ended says why.
      ...(end === undefined || end.reason === 'withdrawn'
        ? { cause: this.parts.causes.causeOf(service, this.#run) }
        : {}),
      ...withService(service),
      virtualServer: of,
      key: realServer,
      ...(end === undefined ? {} : { reason: end.reason, seconds: Math.round(end.milliseconds) / 1_000 }),
      ...this.#backend(of, realServer, service),
    });
  };

  /** Records something else. */
  readonly note = (entry: LogEntry): void => {
    const now = this.#clocks();
    if (this.#budget.takeOther(now)) this.#add(entry, now);
    else this.#summary.count(entry.event, now.date);
  };

  /** A run ended: the next one may record as many operations singly. */
  readonly ended = (): void => {
    this.#budget.runEnded();
    this.parts.causes.runEnded();
    this.#summarizeIfDue(() => this.#timeOfRun());
    this.#runAt = undefined;
  };

  /** The records as JSON texts, the oldest first, and the id of the latest record of all. */
  read(query: LogQuery): { readonly lastId: number; readonly records: Iterable<string> } {
    this.#summarizeIfDue();
    const lastId = this.#ring.nextId - 1;
    return { lastId, records: this.#select(query, lastId) };
  }

  *#select({ after, since, service }: LogQuery, lastId: number): Iterable<string> {
    for (const [id, record] of this.#ring.after(after)) {
      if (id > lastId) return;
      if (record.at < since || (service !== undefined && !isAbout(record, service))) continue;
      yield `{"id":${id},"at":"${new Date(record.at).toISOString()}",${record.json.slice(1)}`;
    }
  }

  /** Resolves when there is a record after this one, or when the time is over. */
  async waitForRecord(after: number, milliseconds: number): Promise<void> {
    this.#summarizeIfDue();
    if (this.#ring.nextId > after + 1) return;
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#listeners.delete(finish);
        resolve();
      };
      const timer = setTimeout(finish, milliseconds).unref();
      this.#listeners.add(finish);
    });
  }

  #add(entry: LogEntry, { date }: Instant): void {
    this.#ring.add({ at: date, service: entry.service, json: JSON.stringify(entry) });
    for (const listener of this.#listeners) listener();
  }

  #timeOfRun(): Instant {
    return (this.#runAt ??= this.#clocks());
  }

  #summarizeIfDue(clocks = this.#clocks): void {
    if (this.#summary.isEmpty) return;
    const now = clocks();
    if (now.monotonic - this.#summarizedAt < summaryInterval) return;
    this.#summarizedAt = now.monotonic;
    this.#add(this.#summary.take(), now);
  }

  #backend(
    of: VirtualServerKey,
    realServer: RealServerKey,
    service: ServiceKey | undefined,
  ): Pick<LogEntry, 'pod' | 'node'> {
    const { pod, nodeName } = this.parts.endpointOf(of, realServer) ?? {};
    return {
      ...(pod === undefined || service === undefined ? {} : { pod: `${namespaceOf(service)}/${pod}` }),
      ...(nodeName === undefined ? {} : { node: nodeName }),
    };
  }

  #serviceOfTarget(target: RetryTarget): ServiceKey | undefined {
    const { causes } = this.parts;
    switch (target.kind) {
      case 'virtual-server':
        return causes.serviceOfVirtualServer(target.key);
      case 'address':
        return causes.serviceOfAddress(target.address);
      case 'element':
        return causes.serviceOfElement(target.key);
    }
  }
}

const withService = (service: ServiceKey | undefined): Pick<LogEntry, 'service'> =>
  service === undefined ? {} : { service };

const namespaceOf = (service: ServiceKey): string => service.slice(0, service.indexOf('/'));

const isAbout = (record: StoredRecord, service: string): boolean =>
  record.service === service || record.json.startsWith('{"event":"summary"');
