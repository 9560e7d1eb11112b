import { printable } from './text.js';

const severities: Readonly<Record<string, string>> = { warn: 'W', error: 'E' };

const twoDigits = (value: number): string => String(value).padStart(2, '0');

const formatTimestamp = (time: Date): string =>
  `${twoDigits(time.getMonth() + 1)}${twoDigits(time.getDate())} ` +
  `${twoDigits(time.getHours())}:${twoDigits(time.getMinutes())}:${twoDigits(time.getSeconds())}.${String(time.getMilliseconds()).padStart(3, '0')}000`;

/**
 * A line of the JSON log as klog writes structured lines: `I1123 07:32:56.123000       1 kube-ipvs] "synced" applied=3`. In the
 * place of a source file and its line stands the program.
 */
export const klogLine = (json: string): string => {
  const { level, time, msg, ...fields } = JSON.parse(json) as Readonly<Record<string, unknown>>;
  const head = `${severities[String(level)] ?? 'I'}${formatTimestamp(new Date(String(time)))} ${String(process.pid).padStart(7)} kube-ipvs]`;
  const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
  return `${head} ${printable(`${JSON.stringify(msg)}${pairs.join('')}`)}\n`;
};
