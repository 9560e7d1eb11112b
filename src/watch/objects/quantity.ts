/** Factors of the suffixes of a Kubernetes quantity. Source: k8s.io/apimachinery/pkg/api/resource. */
const factors: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

const pattern = /^(?<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?<suffix>[numkMGTPE]|[KMGTPE]i)?$/;

/** A quantity such as `100m`, `0.5`, `2` or `1e3` as a number; undefined for any other text. */
export const parseQuantity = (text: string): number | undefined => {
  const { number, suffix = '' } = pattern.exec(text.trim())?.groups ?? {};
  return number === undefined ? undefined : Number(number) * (factors[suffix] ?? 1);
};
