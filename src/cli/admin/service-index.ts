import type {
  RealServerDescription,
  VirtualServerDescription,
  VirtualServersResponse,
} from '../../admin-api/responses.js';

/** Whose things in the kernel are, as far as somebody has told. */
export interface ServiceIndex {
  /** By the key of a virtual server. */
  get(virtualServer: string): VirtualServerDescription | undefined;
  /** All there are. */
  keys(): Iterable<string>;
}

export const emptyServiceIndex: ServiceIndex = { get: () => undefined, keys: () => [] };

export const buildServiceIndex = ({ virtualServers }: VirtualServersResponse): ServiceIndex => {
  const names = new Map(Object.entries(virtualServers));
  return { get: (key) => names.get(key), keys: () => names.keys() };
};

/** `default/web:http`, `default/web:80` where the port has no name, `default/web` where it has that port no more; '' where nobody knows. */
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

/** What is to be known of a real server that is not simply in use: `draining 42s, 14m18s left (gone)`. */
export const realServerStateText = ({ state, drain }: RealServerDescription): string => {
  if (state === 'ready') return '';
  if (state === 'last-resort') return 'terminating, last resort';
  if (drain === undefined) return 'draining';
  return `draining ${durationText(drain.seconds)}, ${durationText(drain.secondsLeft)} left (${drain.reason})`;
};

/** What is to be known of a virtual server that is not simply in use: `lingering 42s, 14m18s left`. */
export const virtualServerStateText = ({ contested, lingering }: VirtualServerDescription): string => {
  if (lingering !== undefined)
    return `lingering ${durationText(lingering.seconds)}, ${durationText(lingering.secondsLeft)} left`;
  return contested === true ? 'made by somebody else, left alone' : '';
};
