/**
 * The status of a packet-rule element in the kube-ipvs nftables tables:
 * - `absent`, `present`: as the kernel last acknowledged or listed
 * - `addition-deferred`, `removal-deferred`: the operation was not sent because the rules of its family are
 *   not in force
 */
export type ElementStatus = 'absent' | 'present' | 'addition-deferred' | 'removal-deferred';

export type ElementEvent =
  | 'added'
  | 'removed'
  /** The kernel rejected the operation or did not reply; the element is unchanged. */
  | 'refused'
  | 'addition-deferred'
  | 'removal-deferred'
  /** The elements of its family were read and included the element or did not. */
  | 'read-present'
  | 'read-absent';

/** Whether the kernel has the element, according to the known state. */
export const isInKernel = (status: ElementStatus): boolean =>
  status === 'present' || status === 'removal-deferred';

/** The status after an event. docs/engine.md has the table of all transitions. */
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
