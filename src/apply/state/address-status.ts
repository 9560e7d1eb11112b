/**
 * The status of an address on kube-ipvs0:
 * - `absent`, `bound`: as the kernel last acknowledged, listed or notified
 * - `binding`, `unbinding`: an operation was sent; a notification that arrives meanwhile is newer than the
 *   operation
 */
export type AddressStatus = 'absent' | 'bound' | 'binding' | 'unbinding';

export type AddressEvent =
  | 'bind-sent'
  | 'unbind-sent'
  /** The operation succeeded; or it was rejected or got no reply. */
  | 'applied'
  | 'refused'
  /** The kernel notified that the address was added or removed. */
  | 'notified-present'
  | 'notified-absent'
  /** A dump listed the address or did not list it. */
  | 'read-present'
  | 'read-absent';

const afterOutcome: Readonly<Record<AddressStatus, Readonly<Record<'applied' | 'refused', AddressStatus>>>> =
  {
    absent: { applied: 'absent', refused: 'absent' },
    bound: { applied: 'bound', refused: 'bound' },
    binding: { applied: 'bound', refused: 'absent' },
    unbinding: { applied: 'absent', refused: 'bound' },
  };

/** The status after an event. docs/engine.md has the table of all transitions. */
export const nextAddressStatus = (status: AddressStatus, event: AddressEvent): AddressStatus => {
  switch (event) {
    case 'bind-sent':
      return 'binding';
    case 'unbind-sent':
      return 'unbinding';
    case 'applied':
    case 'refused':
      return afterOutcome[status][event];
    case 'notified-present':
    case 'read-present':
      return 'bound';
    case 'notified-absent':
    case 'read-absent':
      return 'absent';
  }
};

/** Whether kube-ipvs0 has the address after the pending operation completes. */
export const isExpected = (status: AddressStatus): boolean => status === 'bound' || status === 'binding';

/** Whether kube-ipvs0 has the address, according to the known state. */
export const isOnDevice = (status: AddressStatus): boolean => status === 'bound' || status === 'unbinding';
