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
  | 'drain-ended'
  | 'pace';

/** What changed about a Service since it was last rendered. */
export type ServiceChange =
  | 'service-added'
  | 'service-changed'
  | 'service-deleted'
  | 'endpoints-changed'
  | 'service-and-endpoints-changed';

/** Why every Service is rendered again. */
export type FullRenderCause = 'start' | 'node-changed' | 'node-addresses-changed' | 'settings-changed';

/**
 * Why an object of the kernel was changed. `start`, `take-over`: the first sync of the daemon, in a take-over from another service
 * proxy or an earlier run; `reread`: a sync had failed or IPVS was reloaded, and kube-ipvs read the kernel again; `drift`: another
 * program changed the object; `ownership`: a virtual server of another program came or went; `retry`: an earlier attempt was refused;
 * `pace`: slow start or quarantine changed a weight; `follow-up`: the change had to wait for an earlier one.
 */
export type ChangeCause =
  | 'service-added'
  | 'service-changed'
  | 'service-deleted'
  | 'endpoints-changed'
  | 'service-and-endpoints-changed'
  | 'node-changed'
  | 'node-addresses-changed'
  | 'settings-changed'
  | 'start'
  | 'take-over'
  | 'reread'
  | 'drift'
  | 'ownership'
  | 'retry'
  | 'drain-ended'
  | 'pace'
  | 'follow-up';

/** Two changes of a Service as one. A new or deleted Service explains its endpoints. */
export const mergeServiceChanges = (before: ServiceChange | undefined, now: ServiceChange): ServiceChange => {
  if (before === undefined || before === now || now === 'service-deleted') return now;
  if (now === 'service-added') return before === 'service-deleted' ? 'service-changed' : now;
  if (before === 'service-added' || before === 'service-deleted') return before;
  return 'service-and-endpoints-changed';
};
