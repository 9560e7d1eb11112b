import { parseDuration } from '../../base/duration.js';
import { familyOf, hostPrefixLength, parseIp, writeIp, type Family } from '../../base/ip.js';

/** The flags that a Service may choose. Those of a scheduler have its name (IP_VS_SVC_F_SCHED*, linux/ip_vs.h). */
export const serviceFlags = ['sh-fallback', 'sh-port', 'mh-fallback', 'mh-port', 'one-packet'] as const;
export type ServiceFlag = (typeof serviceFlags)[number];

/** What happens to a connection whose real server is full: another real server takes it, or it is refused. */
export const fullActions = ['another', 'refuse'] as const;
export type FullAction = (typeof fullActions)[number];

/** Prefix lengths of the client networks that share a real server. */
export type PrefixLengths = Readonly<Partial<Record<Family, number>>>;

/** Settings that the virtual servers of a Service may have. An absent one is not chosen. */
export interface ServiceSettings {
  readonly flags?: readonly ServiceFlag[] | undefined;
  /** 0: no persistence. */
  readonly persistenceSeconds?: number | undefined;
  readonly persistencePrefixLengths?: PrefixLengths | undefined;
  /** Connections of each real server; 0: no limit. */
  readonly upperThreshold?: number | undefined;
  readonly lowerThreshold?: number | undefined;
  readonly onFull?: FullAction | undefined;
}

/** How a value is written: `parse` returns undefined for any other text. */
export interface ValueSyntax<T> {
  /** For messages: `a duration …`. */
  readonly expected: string;
  readonly parse: (text: string) => T | undefined;
}

const isFlag = (word: string): word is ServiceFlag => serviceFlags.some((flag) => flag === word);

export const flagsSyntax: ValueSyntax<readonly ServiceFlag[]> = {
  expected: `a list of flags (${serviceFlags.join(', ')}), separated by commas, or empty for none`,
  parse: (text) => {
    if (text === '') return [];
    const words = [...new Set(text.split(',').map((word) => word.trim()))];
    return words.every(isFlag) ? words : undefined;
  },
};

/** As in ipvsadm: 31 days. */
export const maximumPersistenceSeconds = 31 * 86_400;

/** Whether the kernel can have this persistence; 0 for none. */
export const isPersistence = (seconds: number): boolean =>
  Number.isInteger(seconds) && seconds >= 0 && seconds <= maximumPersistenceSeconds;

export const persistenceTimeoutSyntax: ValueSyntax<number> = {
  expected: 'a duration of whole seconds up to 744h, such as 30m, or 0s for no persistence',
  parse: (text) => {
    const milliseconds = parseDuration(text);
    return milliseconds !== undefined && isPersistence(milliseconds / 1e3) ? milliseconds / 1e3 : undefined;
  },
};

/** The length of a netmask without holes. */
const lengthOfMask = (text: string, family: Family): number | undefined => {
  const mask = parseIp(text);
  if (mask === undefined || familyOf(mask) !== family) return undefined;
  const bytes = new Uint8Array(hostPrefixLength(family) / 8);
  writeIp(mask, bytes);
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
  return /^(1+)0*$/.exec(bits)?.[1]?.length;
};

const prefixLengthFrom = (text: string, family: Family): number | undefined => {
  const length = /^\/?(\d{1,3})$/.exec(text)?.[1];
  if (length === undefined) return lengthOfMask(text, family);
  return Number(length) >= 1 && Number(length) <= hostPrefixLength(family) ? Number(length) : undefined;
};

export const persistenceNetmaskSyntax: ValueSyntax<PrefixLengths> = {
  expected:
    'an IPv4 netmask (255.255.255.0 or /24), an IPv6 prefix length (/64), or both, separated by a comma (/24,/64)',
  parse: (text) => {
    const [first = '', second, ...more] = text.split(',').map((part) => part.trim());
    const IPv4 = prefixLengthFrom(first, 'IPv4');
    const IPv6 = prefixLengthFrom(second ?? first, 'IPv6');
    if (more.length > 0) return undefined;
    if (second === undefined && IPv4 !== undefined) return { IPv4 };
    if (IPv6 === undefined || (second !== undefined && IPv4 === undefined)) return undefined;
    return IPv4 === undefined ? { IPv6 } : { IPv4, IPv6 };
  },
};

/** The kernel compares a threshold with a signed 32-bit number of connections. */
export const maximumThreshold = 2 ** 31 - 1;

/** A threshold that may not exceed `maximum`. */
export const thresholdSyntax = (
  maximum = maximumThreshold,
  expected = 'a whole number of connections, or 0 for no limit',
): ValueSyntax<number> => ({
  expected,
  parse: (text) => (/^\d{1,10}$/.test(text) && Number(text) <= maximum ? Number(text) : undefined),
});

export const onFullSyntax: ValueSyntax<FullAction> = {
  expected: fullActions.join(' or '),
  parse: (text) => fullActions.find((action) => action === text),
};
