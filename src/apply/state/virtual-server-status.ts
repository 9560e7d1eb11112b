/**
 * How what is known of a virtual server relates to the kernel:
 * - `absent`: the kernel does not have it
 * - `in-sync`: what is observed is what the kernel acknowledged or reported last
 * - `missing`: it was ours, and the last dump did not list it; a dump may pass over what changes meanwhile
 * - `unconfirmed`: an operation was refused or not answered; it is read before anything else is done to it
 * - `unreadable`: the kernel refused to report it; nothing is done to it until the next try
 * - `foreign`: another program made it; it is never touched
 */
export type VirtualServerStatus =
  | { readonly kind: 'absent' }
  | { readonly kind: 'in-sync' }
  | { readonly kind: 'missing' }
  | ({ readonly kind: 'unconfirmed' } & Doubt)
  | ({ readonly kind: 'unreadable' } & Doubt)
  | { readonly kind: 'foreign' };

interface Doubt {
  /** Whether the kernel refused to create it because one exists. */
  readonly exists: boolean;
  /** Whether one of our own requests may have created it. */
  readonly mayBeOurs: boolean;
}

export type StatusKind = VirtualServerStatus['kind'];

export type VirtualServerEvent =
  | { readonly kind: 'created' | 'changed' | 'deleted' }
  /** The kernel refused an operation; `exists`: with EEXIST, to the request to create it. */
  | { readonly kind: 'refused' | 'exists' }
  /** No answer to an operation; `creation-unanswered`: to the request to create it. */
  | { readonly kind: 'unanswered' | 'creation-unanswered' }
  /** It was read. `isAdopted`: a Service says that it is to be ours, whoever made it. */
  | { readonly kind: 'read-present'; readonly isAdopted: boolean }
  | { readonly kind: 'read-absent' | 'read-refused' }
  /** It is the time to try an unreadable one again. */
  | { readonly kind: 'retry-due' }
  /** A dump of all virtual servers listed it, as ours or as another program's, or did not list it. */
  | { readonly kind: 'listed-ours' | 'listed-foreign' | 'not-listed' };

export type EventKind = VirtualServerEvent['kind'];

const absent: VirtualServerStatus = { kind: 'absent' };
const inSync: VirtualServerStatus = { kind: 'in-sync' };
const missing: VirtualServerStatus = { kind: 'missing' };
const foreign: VirtualServerStatus = { kind: 'foreign' };

/** The status of what nothing is known of. */
export const unknownToUs = absent;

const doubtOf = (status: VirtualServerStatus): Doubt =>
  'exists' in status ? status : { exists: false, mayBeOurs: status.kind === 'missing' };

const unconfirmed = (status: VirtualServerStatus, more: Partial<Doubt> = {}): VirtualServerStatus => {
  const { exists, mayBeOurs } = { ...doubtOf(status), ...more };
  return { kind: 'unconfirmed', exists, mayBeOurs };
};

const unreadable = (status: VirtualServerStatus): VirtualServerStatus => {
  const { exists, mayBeOurs } = doubtOf(status);
  return { kind: 'unreadable', exists, mayBeOurs };
};

/** One that exists although we did not create it is another program's, unless a Service says otherwise. */
const afterRead = (status: VirtualServerStatus, isAdopted: boolean): VirtualServerStatus => {
  if (isAdopted) return inSync;
  if (status.kind === 'foreign') return foreign;
  const { exists, mayBeOurs } = doubtOf(status);
  return exists && !mayBeOurs ? foreign : inSync;
};

/** Operations of one batch have outcomes of their own: doubt ends only with a read. */
const unlessInDoubt = (status: VirtualServerStatus, next: VirtualServerStatus): VirtualServerStatus =>
  'exists' in status ? status : next;

/** The status after an event. Pure; docs/engine.md has the table of all transitions. */
export const nextStatus = (status: VirtualServerStatus, event: VirtualServerEvent): VirtualServerStatus => {
  switch (event.kind) {
    case 'created':
    case 'changed':
      return unlessInDoubt(status, inSync);
    case 'deleted':
      return unlessInDoubt(status, absent);
    case 'refused':
    case 'unanswered':
      return unconfirmed(status);
    case 'exists':
      return unconfirmed(status, { exists: true });
    case 'creation-unanswered':
      return unconfirmed(status, { mayBeOurs: true });
    case 'read-present':
      return afterRead(status, event.isAdopted);
    case 'read-absent':
      return absent;
    case 'read-refused':
      return status.kind === 'foreign' ? foreign : unreadable(status);
    case 'retry-due':
      return status.kind === 'unreadable' ? unconfirmed(status) : status;
    case 'listed-ours':
      return status.kind === 'unreadable' ? status : inSync;
    case 'listed-foreign':
      return foreign;
    case 'not-listed':
      return status.kind === 'foreign' || status.kind === 'absent' ? absent : missing;
  }
};
