/**
 * The status of a virtual server:
 * - `absent`: the kernel does not have it
 * - `in-sync`: the observed state is what the kernel last acknowledged or reported
 * - `missing`: kube-ipvs owned it, and the last dump did not list it; a dump may skip objects while others
 *   change
 * - `unconfirmed`: an operation was refused or got no reply; it must be read before the next operation
 * - `unreadable`: the kernel refused to report it; it is not changed until the next attempt
 * - `foreign`: another program created it; kube-ipvs never modifies it
 */
export type VirtualServerStatus =
  | { readonly kind: 'absent' }
  | { readonly kind: 'in-sync' }
  | { readonly kind: 'missing' }
  | ({ readonly kind: 'unconfirmed' } & Doubt)
  | ({ readonly kind: 'unreadable' } & Doubt)
  | { readonly kind: 'foreign' };

interface Doubt {
  /** Whether the kernel rejected its creation because it exists. */
  readonly exists: boolean;
  /** Whether a request of kube-ipvs may have created it. */
  readonly mayBeOurs: boolean;
}

export type StatusKind = VirtualServerStatus['kind'];

export type VirtualServerEvent =
  | { readonly kind: 'created' | 'changed' | 'deleted' }
  /** The kernel rejected an operation; `exists`: it rejected the creation with EEXIST. */
  | { readonly kind: 'refused' | 'exists' }
  /** An operation got no reply; `creation-unanswered`: the creation got no reply. */
  | { readonly kind: 'unanswered' | 'creation-unanswered' }
  /** A read found it. `isAdopted`: the Service adopts it even if another program created it. */
  | { readonly kind: 'read-present'; readonly isAdopted: boolean }
  | { readonly kind: 'read-absent' | 'read-refused' }
  /** The next attempt to read an unreadable virtual server is due. */
  | { readonly kind: 'retry-due' }
  /** A full dump listed it as owned or foreign, or did not list it. */
  | { readonly kind: 'listed-ours' | 'listed-foreign' | 'not-listed' };

export type EventKind = VirtualServerEvent['kind'];

const absent: VirtualServerStatus = { kind: 'absent' };
const inSync: VirtualServerStatus = { kind: 'in-sync' };
const missing: VirtualServerStatus = { kind: 'missing' };
const foreign: VirtualServerStatus = { kind: 'foreign' };

/** The status of a virtual server without an entry. */
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

/** An existing virtual server that kube-ipvs did not create is foreign, unless a Service adopts it. */
const afterRead = (status: VirtualServerStatus, isAdopted: boolean): VirtualServerStatus => {
  if (isAdopted) return inSync;
  if (status.kind === 'foreign') return foreign;
  const { exists, mayBeOurs } = doubtOf(status);
  return exists && !mayBeOurs ? foreign : inSync;
};

/** The operations of a batch have separate outcomes, so only a read ends the doubt. */
const unlessInDoubt = (status: VirtualServerStatus, next: VirtualServerStatus): VirtualServerStatus =>
  'exists' in status ? status : next;

/** The status after an event. docs/engine.md has the table of all transitions. */
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
