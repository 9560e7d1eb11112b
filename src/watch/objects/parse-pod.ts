import { parseQuantity } from './quantity.js';
import { quote } from '../../base/text.js';
import { podKey, type Pod, type PodKey } from '../../model/pod.js';
import { annotationField, annotationKey } from '../../model/settings/service-annotations.js';
import { Interner } from './interner.js';
import type { Parsed } from './parse-objects.js';
import { readPod, type PodShape } from './schemas.js';

type Report = (problem: string) => void;

/** As ipvsadm allows. */
const largestWeight = 65_535;

const weightOf = ({ annotations }: PodShape['metadata'], report: Report): number | undefined => {
  const text = annotations?.[annotationKey('weight')];
  if (text === undefined || text === null) return undefined;
  const weight = /^\d{1,5}$/.test(text.trim()) ? Number(text) : NaN;
  if (weight <= largestWeight) return weight;
  report(
    `${annotationField('weight')}: ${quote(text)} is not a whole number from 0 to ${largestWeight}; it counts as absent`,
  );
  return undefined;
};

type Spec = NonNullable<PodShape['spec']>;

/** A request in thousandths of a CPU. */
const requestOf = (
  { resources }: Pick<Spec, 'resources'>,
  field: string,
  report: Report,
): number | undefined => {
  const written = resources?.requests?.cpu;
  if (written === undefined || written === null) return undefined;
  const cpus = parseQuantity(String(written));
  if (cpus !== undefined && cpus >= 0) return Math.round(cpus * 1_000);
  report(`${field}.resources.requests.cpu: ${quote(String(written))} is not a quantity; it counts as absent`);
  return undefined;
};

/** The containers that run as long as the pod; init containers with restartPolicy Always are sidecars (KEP-753). */
const requestsOf = ({ containers, initContainers }: Spec, report: Report): readonly number[] => [
  ...(containers ?? []).flatMap(
    (container, index) => requestOf(container, `spec.containers[${index}]`, report) ?? [],
  ),
  ...(initContainers ?? []).flatMap((container, index) =>
    container.restartPolicy === 'Always'
      ? (requestOf(container, `spec.initContainers[${index}]`, report) ?? [])
      : [],
  ),
];

/** The request of the pod itself takes the place of those of its containers (KEP-2837). */
const cpuRequestOf = (spec: PodShape['spec'], report: Report): number | undefined => {
  if (!spec) return undefined;
  const own = requestOf(spec, 'spec', report);
  if (own !== undefined) return own;
  const requests = requestsOf(spec, report);
  return requests.length === 0 ? undefined : requests.reduce((sum, request) => sum + request);
};

/** Most pods of a Deployment have the same values. */
const pods = new Interner<Pod>();

/** A core/v1 Pod; undefined for one that has ended. Throws MalformedObject. */
export const toPod = (object: unknown): Parsed<PodKey, Pod> => {
  const { metadata, spec, status } = readPod(object);
  const key = podKey(metadata.namespace || 'default', metadata.name);
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed')
    return { key, value: undefined, problems: [] };
  const problems: string[] = [];
  const report: Report = (problem) => problems.push(problem);
  const weight = weightOf(metadata, report);
  const cpuRequest = cpuRequestOf(spec, report);
  return { key, value: pods.intern(`${weight} ${cpuRequest}`, () => ({ weight, cpuRequest })), problems };
};
