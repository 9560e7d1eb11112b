import type { Logger } from '../../base/log.js';

/** The object of an event. */
export interface RegardedObject {
  readonly kind: 'Node' | 'Service';
  /** Of a Service. */
  readonly namespace?: string;
  readonly name: string;
  /** metadata.uid: `kubectl describe service` shows only events that have it. */
  readonly uid?: string | undefined;
}

/** An Event for people who inspect the object. */
export interface RecordedEvent {
  readonly regarding: RegardedObject;
  readonly type: 'Normal' | 'Warning';
  /** Why, in CamelCase: what dashboards and alerts select by. */
  readonly reason: string;
  /** The action that the event interrupted, in CamelCase. */
  readonly action: string;
  /** For people; truncated to 1024 bytes. */
  readonly note: string;
}

export interface EventRecorder {
  /** Records an event to be sent later. Never throws and never waits. */
  record(event: RecordedEvent): void;
}

export const silentRecorder: EventRecorder = { record: () => {} };

/** The number of events since the start, by outcome. */
export interface EventCounts {
  /** Events that the API server has, from this node or from another one. */
  readonly sent: number;
  /** Events that the API server rejected. */
  readonly failed: number;
  /** The queue was full, or the event could not be sent before the end. */
  readonly dropped: number;
  /** Events to be sent. */
  readonly waiting: number;
}

/** The destination of events. */
export interface EventSink extends EventRecorder, AsyncDisposable {
  readonly counts: EventCounts;
}

/** Logs events instead of sending them. */
export const logEventSink = (log: Logger): EventSink => ({
  counts: { sent: 0, failed: 0, dropped: 0, waiting: 0 },
  record: ({ regarding, type, reason, action, note }) => {
    const { kind, namespace, name } = regarding;
    const object = namespace === undefined ? name : `${namespace}/${name}`;
    log.info({ event: 'kubernetes-event', type, reason, action, kind, object, note }, 'Kubernetes event');
  },
  [Symbol.asyncDispose]: async () => {},
});
