import type { RealServerNames, VirtualServerNames, VirtualServersAnswer } from '../plan/admin-answers.js';

/** Whose things in the kernel are, as far as somebody has told. */
export interface NamesBook {
  /** By the key of a virtual server. */
  of(virtualServer: string): VirtualServerNames | undefined;
  /** All there are. */
  keys(): Iterable<string>;
}

export const noNames: NamesBook = { of: () => undefined, keys: () => [] };

export const bookOf = ({ virtualServers }: VirtualServersAnswer): NamesBook => {
  const names = new Map(Object.entries(virtualServers));
  return { of: (key) => names.get(key), keys: () => names.keys() };
};

/** `default/web:http`, `default/web:80` where the port has no name, `default/web` where it has that port no more; '' where nobody knows. */
export const servicePortText = ({ service = '', port }: VirtualServerNames): string =>
  port === undefined ? service : `${service}:${port.name === '' ? port.port : port.name}`;

/** `42s`, `14m18s`, `3h5m`. */
export const spanText = (seconds: number): string => {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${minutes}m${whole % 60 === 0 ? '' : `${whole % 60}s`}`
    : `${Math.floor(minutes / 60)}h${minutes % 60 === 0 ? '' : `${minutes % 60}m`}`;
};

/** What is to be known of a real server that is not simply in use: `draining 42s, 14m18s left (gone)`. */
export const stateText = ({ state, drain }: RealServerNames): string => {
  if (state === 'ready') return '';
  if (state === 'last-resort') return 'terminating, last resort';
  if (drain === undefined) return 'draining';
  return `draining ${spanText(drain.seconds)}, ${spanText(drain.secondsLeft)} left (${drain.reason})`;
};

/** What is to be known of a virtual server that is not simply in use: `lingering 42s, 14m18s left`. */
export const virtualStateText = ({ contested, lingering }: VirtualServerNames): string => {
  if (lingering !== undefined)
    return `lingering ${spanText(lingering.seconds)}, ${spanText(lingering.secondsLeft)} left`;
  return contested === true ? 'made by somebody else, left alone' : '';
};
