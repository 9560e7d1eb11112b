import {
  nextAddressStatus,
  type AddressEvent,
  type AddressStatus,
} from '../../src/apply/state/address-status.js';
import {
  nextElementStatus,
  type ElementEvent,
  type ElementStatus,
} from '../../src/apply/state/element-status.js';
import {
  nextStatus,
  type VirtualServerEvent,
  type VirtualServerStatus,
} from '../../src/apply/state/virtual-server-status.js';

/** What becomes of each status at each event: rows are events, columns are statuses. */
export interface TransitionTable {
  readonly statuses: readonly string[];
  readonly rows: readonly { readonly event: string; readonly next: readonly string[] }[];
}

const inDoubt = (kind: 'unconfirmed' | 'unreadable'): readonly VirtualServerStatus[] =>
  [false, true].flatMap((exists) => [false, true].map((mayBeOurs) => ({ kind, exists, mayBeOurs })));

const virtualServerStatuses: readonly VirtualServerStatus[] = [
  { kind: 'absent' },
  { kind: 'in-sync' },
  { kind: 'missing' },
  ...inDoubt('unconfirmed'),
  ...inDoubt('unreadable'),
  { kind: 'foreign' },
];

const virtualServerEvents: readonly VirtualServerEvent[] = [
  ...(
    ['created', 'changed', 'deleted', 'refused', 'exists', 'unanswered', 'creation-unanswered'] as const
  ).map((kind) => ({ kind })),
  { kind: 'read-present', isAdopted: false },
  { kind: 'read-present', isAdopted: true },
  ...(
    ['read-absent', 'read-refused', 'retry-due', 'listed-ours', 'listed-foreign', 'not-listed'] as const
  ).map((kind) => ({ kind })),
];

const statusText = (status: VirtualServerStatus): string => {
  if (!('exists' in status)) return status.kind;
  const marks = `${status.exists ? 'e' : ''}${status.mayBeOurs ? 'o' : ''}`;
  return marks === '' ? status.kind : `${status.kind} (${marks})`;
};

const eventText = (event: VirtualServerEvent): string =>
  'isAdopted' in event && event.isAdopted ? `${event.kind}, adopted` : event.kind;

export const virtualServerTransitions = (): TransitionTable => ({
  statuses: virtualServerStatuses.map(statusText),
  rows: virtualServerEvents.map((event) => ({
    event: eventText(event),
    next: virtualServerStatuses.map((status) => statusText(nextStatus(status, event))),
  })),
});

const addressStatuses: readonly AddressStatus[] = ['absent', 'binding', 'bound', 'unbinding'];
const addressEvents: readonly AddressEvent[] = [
  'bind-sent',
  'unbind-sent',
  'applied',
  'refused',
  'notified-present',
  'notified-absent',
  'read-present',
  'read-absent',
];

export const addressTransitions = (): TransitionTable => ({
  statuses: addressStatuses,
  rows: addressEvents.map((event) => ({
    event,
    next: addressStatuses.map((status) => nextAddressStatus(status, event)),
  })),
});

const elementStatuses: readonly ElementStatus[] = [
  'absent',
  'present',
  'addition-deferred',
  'removal-deferred',
];
const elementEvents: readonly ElementEvent[] = [
  'added',
  'removed',
  'refused',
  'addition-deferred',
  'removal-deferred',
  'read-present',
  'read-absent',
];

export const elementTransitions = (): TransitionTable => ({
  statuses: elementStatuses,
  rows: elementEvents.map((event) => ({
    event,
    next: elementStatuses.map((status) => nextElementStatus(status, event)),
  })),
});
