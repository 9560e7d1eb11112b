/**
 * The status of one binding of a VIP, an address of kube-ipvs0 or a local route:
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
  /** The kernel notified that it was added or removed. */
  | 'notified-present'
  | 'notified-absent'
  /** A dump listed it or did not list it. */
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

/** Whether the kernel has it after the pending operation completes. */
export const isExpected = (status: AddressStatus): boolean => status === 'bound' || status === 'binding';

/** Whether the kernel has it, according to the known state. */
export const isInKernel = (status: AddressStatus): boolean => status === 'bound' || status === 'unbinding';
