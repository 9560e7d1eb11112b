import type { Logger } from '../../base/log.js';

/** What an event is about. */
export interface RegardedObject {
  readonly kind: 'Node' | 'Service';
  /** Of a Service. */
  readonly namespace?: string;
  readonly name: string;
  /** metadata.uid: `kubectl describe service` shows only events that have it. */
  readonly uid?: string | undefined;
}

/** Something that somebody who looks at the object should know. */
export interface RecordedEvent {
  readonly regarding: RegardedObject;
  readonly type: 'Normal' | 'Warning';
  /** Why, in CamelCase: what dashboards and alerts select by. */
  readonly reason: string;
  /** What was being done, in CamelCase. */
  readonly action: string;
  /** For people; what goes beyond 1024 bytes is cut off. */
  readonly note: string;
}

export interface EventRecorder {
  /** Takes an event to be told later. Never throws and never waits. */
  record(event: RecordedEvent): void;
}

export const silentRecorder: EventRecorder = { record: () => {} };

/** What became of events since the start; for metrics. */
export interface EventCounts {
  /** That the API server has, whether from us or from another node that found the same. */
  readonly sent: number;
  /** That it refused for good. */
  readonly failed: number;
  /** That had no room, were too many about one object, or could not be told before the end. */
  readonly dropped: number;
  /** To be told. */
  readonly waiting: number;
}

/** Where events go. */
export interface EventSink extends EventRecorder, AsyncDisposable {
  readonly counts: EventCounts;
}

/** Where no API server can be told: the log is. */
export const logEventSink = (log: Logger): EventSink => ({
  counts: { sent: 0, failed: 0, dropped: 0, waiting: 0 },
  record: ({ regarding, type, reason, action, note }) => {
    const { kind, namespace, name } = regarding;
    const object = namespace === undefined ? name : `${namespace}/${name}`;
    log.info({ event: 'kubernetes-event', type, reason, action, kind, object, note }, 'Kubernetes event');
  },
  [Symbol.asyncDispose]: async () => {},
});
