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

/** Where no API server can be told: the log is. */
export const logRecorder = (log: Logger): EventRecorder => ({
  record: ({ regarding, type, reason, action, note }) => {
    const { kind, namespace, name } = regarding;
    const object = namespace === undefined ? name : `${namespace}/${name}`;
    log.info({ type, reason, action, kind, object, note }, 'event');
  },
});

export const silentRecorder: EventRecorder = { record: () => {} };
