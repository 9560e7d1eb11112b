import type { Endpoint } from '../../model/endpoint.js';
import { podKey, type Pod, type PodKey } from '../../model/pod.js';
import type { WeightBy } from '../../model/settings/weight-by.js';

/** Why an endpoint has its weight. */
export type WeightReason =
  /** The annotation of its pod. */
  | 'pod-annotation'
  /** Its pod has no such annotation. */
  | 'no-pod-annotation'
  /** The CPU requests of its pod. */
  | 'cpu-request'
  /** Its pod requests no CPU. */
  | 'no-cpu-request'
  /** It has no pod, or the pod is not known, or not yet. */
  | 'unknown-pod'
  /** It is in the zone of this node. */
  | 'same-zone'
  /** It is in another zone, or one of the two zones is not known. */
  | 'other-zone';

export interface EndpointWeight {
  readonly weight: number;
  readonly reason: WeightReason;
}

/** What weights depend on besides the endpoint. */
export interface WeightFacts {
  /** The zone of this node; '' where unknown. */
  readonly zone: string;
  readonly pod: (key: PodKey) => Pod | undefined;
}

/** 100: a pod can get a hundredth of what the others get. */
const defaultPodWeight = 100;

/** Thousandths of a CPU for each unit of weight: a CPU is 100. */
const cpuPerWeight = 10;

/** What the kube-scheduler assumes for a pod without a request (DefaultMilliCPURequest). */
const defaultCpuRequest = 100;

const zoneWeights = { same: 10, other: 1 } as const;

/** Never 0: a pod with a small request gets connections too. */
const cpuWeight = (cpuRequest: number): number =>
  Math.min(65_535, Math.max(1, Math.round(cpuRequest / cpuPerWeight)));

const podWeight = (pod: Pod | undefined): EndpointWeight => ({
  weight: pod?.weight ?? defaultPodWeight,
  reason: pod?.weight === undefined ? 'no-pod-annotation' : 'pod-annotation',
});

const requestWeight = (pod: Pod | undefined): EndpointWeight => ({
  weight: cpuWeight(pod?.cpuRequest ?? defaultCpuRequest),
  reason: pod?.cpuRequest === undefined ? 'no-cpu-request' : 'cpu-request',
});

/**
 * The weight of an endpoint in a Service of this namespace; undefined where all weigh the same. It depends on no other
 * endpoint, so that a change of one pod changes one real server.
 */
export const endpointWeight = (
  by: WeightBy,
  endpoint: Endpoint,
  namespace: string,
  { zone, pod: podOf }: WeightFacts,
): EndpointWeight | undefined => {
  if (by === 'none') return undefined;
  if (by === 'zone')
    return zone !== '' && endpoint.zone === zone
      ? { weight: zoneWeights.same, reason: 'same-zone' }
      : { weight: zoneWeights.other, reason: 'other-zone' };
  const pod = endpoint.pod === undefined ? undefined : podOf(podKey(namespace, endpoint.pod));
  const known = by === 'pod' ? podWeight(pod) : requestWeight(pod);
  return pod === undefined ? { ...known, reason: 'unknown-pod' } : known;
};
