/**
 * How an address relates to kube-ipvs0:
 * - `absent`, `bound`: as the kernel acknowledged, reported or notified last
 * - `binding`, `unbinding`: an operation is on its way. What the kernel notifies meanwhile is newer than the operation.
 */
export type AddressStatus = 'absent' | 'bound' | 'binding' | 'unbinding';

export type AddressEvent =
  | 'bind-sent'
  | 'unbind-sent'
  /** The operation was done, or it was refused or not answered. */
  | 'applied'
  | 'refused'
  /** The kernel notified that the address came or went. */
  | 'notified-present'
  | 'notified-absent'
  /** A dump listed the address, or did not. */
  | 'read-present'
  | 'read-absent';

const afterOutcome: Readonly<Record<AddressStatus, Readonly<Record<'applied' | 'refused', AddressStatus>>>> =
  {
    absent: { applied: 'absent', refused: 'absent' },
    bound: { applied: 'bound', refused: 'bound' },
    binding: { applied: 'bound', refused: 'absent' },
    unbinding: { applied: 'absent', refused: 'bound' },
  };

/** The status after an event. Pure; docs/engine.md has the table of all transitions. */
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

/** Whether kube-ipvs0 is to have the address once what is on its way is done. */
export const isExpected = (status: AddressStatus): boolean => status === 'bound' || status === 'binding';

/** Whether kube-ipvs0 has the address, as far as it is known. */
export const isOnDevice = (status: AddressStatus): boolean => status === 'bound' || status === 'unbinding';
