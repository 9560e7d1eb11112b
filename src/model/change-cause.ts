/**
 * What a run of the reconciler is for. `changes`: the cluster, the settings or the node changed; `reread`: the observed state was lost,
 * and the kernel was read again; `ownership`: a virtual server of another program came or went; `drift`: another program changed
 * objects of kube-ipvs.
 */
export type RunCause =
  | 'changes'
  | 'start'
  | 'take-over'
  | 'reread'
  | 'drift'
  | 'ownership'
  | 'retry'
  | 'drain-ended';

/** What changed about a Service since it was last rendered. */
export type ServiceChange =
  | 'service-added'
  | 'service-changed'
  | 'service-deleted'
  | 'endpoints-changed'
  | 'service-and-endpoints-changed';

/** Why every Service is rendered again. */
export type FullRenderCause = 'start' | 'node-changed' | 'node-addresses-changed' | 'settings-changed';

/** Why an object of the kernel was changed. `follow-up`: it had to wait for an earlier change. */
export type ChangeCause = Exclude<RunCause, 'changes'> | ServiceChange | FullRenderCause | 'follow-up';

/** Two changes of a Service as one. A new or deleted Service explains its endpoints. */
export const mergeServiceChanges = (before: ServiceChange | undefined, now: ServiceChange): ServiceChange => {
  if (before === undefined || before === now) return now;
  if (now === 'service-added' || now === 'service-deleted') return now;
  if (before === 'service-added') return before;
  if (before === 'service-deleted') return now;
  return 'service-and-endpoints-changed';
};
