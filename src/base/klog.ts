import { printable } from './text.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LogEntry {
  readonly level: LogLevel;
  readonly time: Date;
  readonly message: string;
  readonly fields: object;
}

const severities: Readonly<Record<LogLevel, string>> = { debug: 'I', info: 'I', warn: 'W', error: 'E' };

const twoDigits = (value: number): string => String(value).padStart(2, '0');

const formatTimestamp = (time: Date): string =>
  `${twoDigits(time.getMonth() + 1)}${twoDigits(time.getDate())} ` +
  `${twoDigits(time.getHours())}:${twoDigits(time.getMinutes())}:${twoDigits(time.getSeconds())}.${String(time.getMilliseconds()).padStart(3, '0')}000`;

const withoutBigInt = (_: string, value: unknown): unknown =>
  typeof value === 'bigint' ? String(value) : value;

/** Undefined for a value that JSON leaves out. A log call never throws because of a field. */
const jsonOf = (value: unknown): string | undefined => {
  try {
    return JSON.stringify(value, withoutBigInt);
  } catch {
    return '"[not serializable]"';
  }
};

/**
 * An entry as klog writes structured lines: `I1123 07:32:56.123000       1 kube-ipvs] "Synced" applied=3`. The program's name
 * stands where klog has the source file and line.
 */
export const klogLine = ({ level, time, message, fields }: LogEntry): string => {
  const head = `${severities[level]}${formatTimestamp(time)} ${String(process.pid).padStart(7)} kube-ipvs]`;
  const pairs = Object.entries(fields).flatMap(([key, value]) => {
    const json = jsonOf(value);
    return json === undefined ? [] : [` ${key}=${json}`];
  });
  return `${head} ${printable(`${JSON.stringify(message)}${pairs.join('')}`)}\n`;
};
