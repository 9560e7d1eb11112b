import type { Service } from '../service.js';

/** Where the weights of a Service's endpoints come from: the annotation `ipvs.kube-ipvs.dev/weight-by`. */
export const weightByNames = ['none', 'pod', 'cpu-request', 'zone'] as const;

export type WeightBy = (typeof weightByNames)[number];

/** Undefined for any other text. */
export const parseWeightBy = (text: string): WeightBy | undefined =>
  weightByNames.find((name) => name === text.trim());

/** The choice of the Service. Undefined if there is none, or if it is not valid. */
export const chosenWeightBy = ({ annotations }: Pick<Service, 'annotations'>): WeightBy | undefined => {
  const asked = annotations['weight-by'];
  return asked === undefined ? undefined : parseWeightBy(asked);
};

/** Whether the weights depend on pods. */
export const needsPods = (by: WeightBy): boolean => by === 'pod' || by === 'cpu-request';
