/**
 * How a packet-rule element relates to our nftables tables:
 * - `absent`, `present`: as the kernel acknowledged or reported last
 * - `addition-deferred`, `removal-deferred`: the operation was not sent, because the rules of its family are not in force
 */
export type ElementStatus = 'absent' | 'present' | 'addition-deferred' | 'removal-deferred';

export type ElementEvent =
  | 'added'
  | 'removed'
  /** The kernel refused the operation or did not answer: the element is as it was. */
  | 'refused'
  /** The operation was not sent. */
  | 'addition-deferred'
  | 'removal-deferred'
  /** The elements of its family were read; it was among them, or it was not. */
  | 'read-present'
  | 'read-absent';

/** Whether the kernel has the element, as far as it is known. */
export const isInKernel = (status: ElementStatus): boolean =>
  status === 'present' || status === 'removal-deferred';

/** The status after an event. Pure; docs/engine.md has the table of all transitions. */
export const nextElementStatus = (status: ElementStatus, event: ElementEvent): ElementStatus => {
  switch (event) {
    case 'added':
    case 'read-present':
      return 'present';
    case 'removed':
    case 'read-absent':
      return 'absent';
    case 'refused':
      return status;
    case 'addition-deferred':
      return isInKernel(status) ? 'present' : 'addition-deferred';
    case 'removal-deferred':
      return isInKernel(status) ? 'removal-deferred' : 'absent';
  }
};
