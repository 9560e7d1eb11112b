import { createHash } from 'node:crypto';
import type { RecordedEvent, RegardedObject } from './event-recorder.js';

// The limits of pkg/apis/core/validation/events.go: the API server rejects an Event with a longer value.
const noteBytes = 1024;
const instanceBytes = 128;
/** Of metadata.name: a DNS-1123 subdomain. */
const nameBytes = 253;

/** The name that dashboards and people know from kube-proxy. */
export const reportingController = 'kube-proxy';

/** An event that occurred again. */
export interface EventSeries {
  /** At least 2. */
  readonly count: number;
  /** As `microTime` writes it. */
  readonly lastObservedTime: string;
}

/** An events.k8s.io/v1 Event as it is created. */
export interface EventObject {
  readonly apiVersion: 'events.k8s.io/v1';
  readonly kind: 'Event';
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly eventTime: string;
  readonly series?: EventSeries;
  readonly reportingController: string;
  readonly reportingInstance: string;
  readonly action: string;
  readonly reason: string;
  readonly regarding: {
    readonly kind: string;
    readonly apiVersion: 'v1';
    readonly namespace?: string;
    readonly name: string;
    readonly uid?: string;
  };
  readonly note: string;
  readonly type: RecordedEvent['type'];
}

/** A metav1.MicroTime of milliseconds since 1970: the API server takes exactly six digits of a second. */
export const microTime = (milliseconds: number): string =>
  new Date(milliseconds).toISOString().replace('Z', '000Z');

/** Shortens the text to whole characters, with an ellipsis. */
const truncate = (text: string, bytes: number): string => {
  if (Buffer.byteLength(text) <= bytes) return text;
  const end = '…';
  const kept = Buffer.from(text).subarray(0, bytes - Buffer.byteLength(end));
  return kept.toString('utf8').replace(/\uFFFD+$/, '') + end;
};

/** Events about objects without a namespace are in `default`. */
export const namespaceOf = ({ namespace }: RegardedObject): string => namespace ?? 'default';

/** Equal for events that are the same: they become one Event with a count. */
export const eventFingerprint = ({ regarding, type, reason, action, note }: RecordedEvent): string => {
  const { kind, namespace, name, uid } = regarding;
  return JSON.stringify([kind, namespace, name, uid, type, reason, action, note]);
};

/**
 * The name of an Event. Every node finds the same problem with a Service, and a thousand nodes make one Event of it: its
 * name is a hash of its content. The name of an Event about the node contains the time, as in client-go.
 */
export const eventName = (event: RecordedEvent, milliseconds: number): string => {
  const suffix =
    event.regarding.kind === 'Service'
      ? createHash('sha256').update(eventFingerprint(event)).digest('hex').slice(0, 16)
      : Math.round(milliseconds * 1000).toString(16);
  const stem = event.regarding.name.slice(0, nameBytes - 1 - suffix.length).replace(/[^a-z0-9]+$/, '');
  return `${stem}.${suffix}`;
};

export interface EventFacts {
  readonly name: string;
  /** The time of the first occurrence, milliseconds since 1970. */
  readonly time: number;
  readonly nodeName: string;
  readonly series: EventSeries | undefined;
}

/** The kubelet uses the name of a Node as its uid in Events, and `kubectl describe node` selects by it too. */
const uidOf = ({ kind, name, uid }: RegardedObject): string | undefined =>
  kind === 'Node' ? (uid ?? name) : uid;

export const eventObject = (event: RecordedEvent, facts: EventFacts): EventObject => {
  const { regarding, type, reason, action, note } = event;
  const { kind, namespace, name } = regarding;
  const uid = uidOf(regarding);
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: facts.name, namespace: namespaceOf(regarding) },
    eventTime: microTime(facts.time),
    ...(facts.series && { series: facts.series }),
    reportingController,
    reportingInstance: `${reportingController}-${facts.nodeName}`.slice(0, instanceBytes),
    action,
    reason,
    regarding: {
      kind,
      apiVersion: 'v1',
      ...(namespace !== undefined && { namespace }),
      name,
      ...(uid !== undefined && { uid }),
    },
    note: truncate(note, noteBytes),
    type,
  };
};
