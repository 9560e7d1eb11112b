import type { StatusFields } from './api-responses.js';

/** An events.k8s.io/v1 Event as a client sends it and as the server keeps it. */
export interface ApiEvent {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly resourceVersion?: string;
    readonly [field: string]: unknown;
  };
  readonly eventTime?: string;
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string } | null;
  readonly reportingController?: string;
  readonly reportingInstance?: string;
  readonly action?: string;
  readonly reason?: string;
  readonly regarding?: {
    readonly kind?: string;
    readonly apiVersion?: string;
    readonly namespace?: string;
    readonly name?: string;
    readonly uid?: string;
  };
  readonly note?: string;
  readonly type?: string;
  readonly [field: string]: unknown;
}

/** RFC3339Micro of k8s.io/apimachinery micro_time.go: other numbers of digits are not taken. */
const microTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$/;
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const qualifiedName = /^([a-z0-9.-]+\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/** What ValidateEventCreate of pkg/apis/core/validation/events.go finds wrong with an Event of events.k8s.io/v1. */
const problemsOf = (event: ApiEvent): readonly string[] => {
  const problems: string[] = [];
  const required = (field: string, value: string | undefined, most: number): void => {
    if (value === undefined || value === '') problems.push(`${field}: Required value`);
    else if (Buffer.byteLength(value) > most)
      problems.push(`${field}: Invalid value: "": can have at most ${most} characters`);
  };
  const { metadata, regarding, series, type } = event;
  if (!subdomain.test(metadata.name) || metadata.name.length > 253)
    problems.push('metadata.name: Invalid value: a lowercase RFC 1123 subdomain must consist of …');
  required('eventTime', event.eventTime, 64);
  required('reportingController', event.reportingController, 128);
  if (!qualifiedName.test(event.reportingController ?? ''))
    problems.push('reportingController: Invalid value: name part must consist of alphanumeric characters');
  required('reportingInstance', event.reportingInstance, 128);
  required('action', event.action, 128);
  required('reason', event.reason, 128);
  if (Buffer.byteLength(event.note ?? '') > 1024)
    problems.push('message: Invalid value: "": can have at most 1024 characters');
  if (type !== 'Normal' && type !== 'Warning')
    problems.push(`type: Invalid value: "": has invalid value: ${type}`);
  if (series && (series.count ?? 0) < 2)
    problems.push('series.count: Invalid value: "": should be at least 2');
  if (series && !series.lastObservedTime) problems.push('series.lastObservedTime: Required value');
  const inNamespace = regarding?.namespace ?? '';
  const matches =
    inNamespace === ''
      ? ['default', 'kube-system'].includes(metadata.namespace)
      : inNamespace === metadata.namespace;
  if (!matches) problems.push('involvedObject.namespace: Invalid value: does not match event.namespace');
  for (const field of deprecated)
    if (!['null', '{}', '0', undefined].includes(JSON.stringify(event[field])))
      problems.push(`${field}: Invalid value: "": needs to be unset`);
  return problems;
};

const deprecated = [
  'deprecatedFirstTimestamp',
  'deprecatedLastTimestamp',
  'deprecatedCount',
  'deprecatedSource',
];
const immutable = [
  'eventTime',
  'reportingController',
  'reportingInstance',
  'action',
  'reason',
  'regarding',
  'note',
  'type',
];

const badRequest = (message: string): StatusFields => ({ code: 400, reason: 'BadRequest', message });

const invalid = (name: string, problems: readonly string[]): StatusFields => ({
  code: 422,
  reason: 'Invalid',
  message: `Event.events.k8s.io "${name}" is invalid: ${problems.join(', ')}`,
  details: { name, group: 'events.k8s.io', kind: 'Event' },
});

export const isRefused = (answer: ApiEvent | StatusFields): answer is StatusFields => 'code' in answer;

/** Whether times are written so that Go's decoder takes them. */
const undecodable = ({ eventTime, series }: ApiEvent): StatusFields | undefined => {
  const wrong = [eventTime, series?.lastObservedTime].find(
    (time) => time !== undefined && !microTime.test(time),
  );
  return wrong === undefined
    ? undefined
    : badRequest(
        `Event in version "v1" cannot be handled as a Event: parsing time "${wrong}" as "2006-01-02T15:04:05.000000Z07:00"`,
      );
};

/** The Events that a test API server holds; it judges them as kube-apiserver does. */
export class ApiEventSink {
  readonly #events = new Map<string, ApiEvent>();
  #version = 0;

  /** In the order in which they came. */
  list(): readonly ApiEvent[] {
    return [...this.#events.values()];
  }

  /** As when the hour of --event-ttl is over. */
  expire(): void {
    this.#events.clear();
  }

  create(namespace: string, sent: ApiEvent): ApiEvent | StatusFields {
    if (sent.kind !== 'Event' || sent.apiVersion !== 'events.k8s.io/v1')
      return badRequest(
        `the API version in the data (${sent.apiVersion}) does not match the expected API version (events.k8s.io/v1)`,
      );
    if ((sent.metadata.namespace ?? namespace) !== namespace)
      return badRequest(
        'the namespace of the provided object does not match the namespace sent on the request',
      );
    const broken = undecodable(sent);
    if (broken !== undefined) return broken;
    const { name } = sent.metadata;
    const problems = problemsOf(sent);
    if (problems.length > 0) return invalid(name, problems);
    const key = `${namespace}/${name}`;
    if (this.#events.has(key))
      return {
        code: 409,
        reason: 'AlreadyExists',
        message: `events.events.k8s.io "${name}" already exists`,
        details: { name, group: 'events.k8s.io', kind: 'events' },
      };
    return this.#keep(key, sent);
  }

  /** A JSON merge patch. */
  patch(namespace: string, name: string, patch: Readonly<Record<string, unknown>>): ApiEvent | StatusFields {
    const key = `${namespace}/${name}`;
    const before = this.#events.get(key);
    if (before === undefined)
      return {
        code: 404,
        reason: 'NotFound',
        message: `events.events.k8s.io "${name}" not found`,
        details: { name, group: 'events.k8s.io', kind: 'events' },
      };
    const after: ApiEvent = { ...before, ...patch };
    const broken = undecodable(after);
    if (broken !== undefined) return broken;
    const problems = [
      ...problemsOf(after),
      ...immutable
        .filter((field) => JSON.stringify(after[field]) !== JSON.stringify(before[field]))
        .map((field) => `${field}: Invalid value: field is immutable`),
    ];
    return problems.length > 0 ? invalid(name, problems) : this.#keep(key, after);
  }

  #keep(key: string, event: ApiEvent): ApiEvent {
    this.#version += 1;
    const kept = { ...event, metadata: { ...event.metadata, resourceVersion: String(this.#version) } };
    this.#events.set(key, kept);
    return kept;
  }
}
