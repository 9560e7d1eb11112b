import type {
  RealServerDescription,
  VirtualServerDescription,
  VirtualServersResponse,
} from '../../admin-api/responses.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import { paceWords } from '../../plan/pace/pace-step.js';
import { nodePortServerAt } from '../../plan/shared-node-port-keys.js';

/** The Services behind virtual servers, as the daemon describes them. */
export interface ServiceIndex {
  /** By the key of a virtual server. */
  get(virtualServer: string): VirtualServerDescription | undefined;
  /** Of all virtual servers that the daemon described. */
  keys(): Iterable<string>;
}

export const emptyServiceIndex: ServiceIndex = { get: () => undefined, keys: () => [] };

/** The virtual server that all addresses of a node port share, if they share one; '' for any other key. */
const sharedServerAt = (key: string): string => nodePortServerAt(key as VirtualServerKey)?.server ?? '';

export const buildServiceIndex = ({ virtualServers }: VirtualServersResponse): ServiceIndex => {
  const names = new Map(Object.entries(virtualServers));
  return { get: (key) => names.get(key) ?? names.get(sharedServerAt(key)), keys: () => names.keys() };
};

/** `default/web:http`, `default/web:80` if the port has no name, `default/web` if the Service no longer has the port; '' where unknown. */
export const servicePortText = ({ service = '', port }: VirtualServerDescription): string =>
  port === undefined ? service : `${service}:${port.name === '' ? port.port : port.name}`;

/** `42s`, `14m18s`, `3h5m`. */
export const durationText = (seconds: number): string => {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${minutes}m${whole % 60 === 0 ? '' : `${whole % 60}s`}`
    : `${Math.floor(minutes / 60)}h${minutes % 60 === 0 ? '' : `${minutes % 60}m`}`;
};

/** `draining 42s, 14m18s left (gone)`, `climbing 40%, 18s left`; '' for a real server in normal use. */
export const realServerStateText = ({ state, drain, pace }: RealServerDescription): string => {
  if (pace !== undefined) return `${paceWords(pace)}, ${durationText(pace.secondsLeft)} left`;
  if (state === 'ready') return '';
  if (state === 'last-resort') return 'terminating, last resort';
  if (drain === undefined) return 'draining';
  return `draining ${durationText(drain.seconds)}, ${durationText(drain.secondsLeft)} left (${drain.reason})`;
};

const weightReasons: Readonly<Record<NonNullable<RealServerDescription['weightReason']>, string>> = {
  'pod-annotation': 'annotation of the pod',
  'no-pod-annotation': 'pod without annotation',
  'cpu-request': 'CPU request of the pod',
  'no-cpu-request': 'pod without CPU request',
  'unknown-pod': 'pod not known',
  'same-zone': 'same zone',
  'other-zone': 'another zone',
};

/** Where a weight comes from; '' where the Service has no weights. */
export const weightReasonText = ({ weightReason }: Pick<RealServerDescription, 'weightReason'>): string =>
  weightReason === undefined ? '' : weightReasons[weightReason];

/** `orphaned 42s, 14m18s left`; '' for a virtual server in normal use. */
export const virtualServerStateText = ({ contested, lingering }: VirtualServerDescription): string => {
  if (lingering !== undefined)
    return `orphaned ${durationText(lingering.seconds)}, ${durationText(lingering.secondsLeft)} left`;
  return contested === true ? 'created by another program' : '';
};
