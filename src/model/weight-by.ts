import type { Service } from './service.js';

/** Where the weights of a Service's endpoints come from: the annotation `ipvs.kube-ipvs.dev/weight-by`. */
export const weightByNames = ['none', 'pod', 'cpu-request', 'zone'] as const;

export type WeightBy = (typeof weightByNames)[number];

/** Undefined for any other text. */
export const parseWeightBy = (text: string): WeightBy | undefined =>
  weightByNames.find((name) => name === text.trim());

/** The choice of the Service, or the configured one. An invalid choice counts as absent. */
export const weightByOf = (
  { annotations }: Pick<Service, 'annotations'>,
  configured: WeightBy | undefined,
): WeightBy => {
  const asked = annotations['weight-by'];
  return (asked === undefined ? undefined : parseWeightBy(asked)) ?? configured ?? 'none';
};

/** Whether the weights depend on pods. */
export const needsPods = (by: WeightBy): boolean => by === 'pod' || by === 'cpu-request';
