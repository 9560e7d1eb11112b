import type { Brand } from '../base/brand.js';

/** `namespace/name` of a Pod. */
export type PodKey = Brand<string, 'PodKey'>;
export const podKey = (namespace: string, name: string): PodKey => `${namespace}/${name}` as PodKey;

export const podNamespace = (key: PodKey): string => key.slice(0, key.indexOf('/'));

/** The fields that we use of a core/v1 Pod. Pods with equal values share one object. */
export interface Pod {
  /** The annotation `ipvs.kube-ipvs.dev/weight`, 0 to 65535; undefined: absent. */
  readonly weight: number | undefined;
  /** The sum of its CPU requests, in thousandths of a CPU; undefined: it requests none. */
  readonly cpuRequest: number | undefined;
}
