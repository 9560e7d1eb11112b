import { familyOf } from '../../base/ip.js';
import type { DirtyKeys } from '../operations/diff.js';
import { setElement, type ElementKey, type SetElement } from '../../nftables/declarations.js';
import type { RealServer, VirtualServerIdentity } from '../../model/virtual-server.js';
import { drainingByMarkSet, drainingSet } from '../packet-rules/packet-sets.js';

const seconds = (milliseconds: number): number => Number((milliseconds / 1_000).toFixed(3));

/** The element of a drain record, without its comment. */
const recordElement = (
  of: VirtualServerIdentity,
  server: Pick<RealServer, 'address' | 'port'>,
): SetElement =>
  of.by === 'address'
    ? setElement(familyOf(of.address), drainingSet, [
        of.address,
        of.protocol,
        of.port,
        server.address,
        server.port,
      ])
    : setElement(of.family, drainingByMarkSet, [of.fwmark, server.address, server.port]);

export const drainRecordKey = (
  of: VirtualServerIdentity,
  server: Pick<RealServer, 'address' | 'port'>,
): ElementKey => recordElement(of, server).key;

/**
 * The element that records for the next process when a drain started, in milliseconds since boot, and the
 * deadline that its Service sets.
 */
export const drainRecord = (
  of: VirtualServerIdentity,
  server: Pick<RealServer, 'address' | 'port'>,
  since: number,
  deadline: number | undefined,
): SetElement => ({
  ...recordElement(of, server),
  comment: `since ${seconds(since)} s after boot${deadline === undefined ? '' : `, for ${seconds(deadline)} s`}`,
});

/** The element that records for the next process since when a real server is quarantined, in milliseconds since boot. */
export const quarantineRecord = (
  of: VirtualServerIdentity,
  server: Pick<RealServer, 'address' | 'port'>,
  since: number,
): SetElement => ({
  ...recordElement(of, server),
  comment: `quarantined since ${seconds(since)} s after boot`,
});

const quarantinePattern = /^quarantined since (?<since>\d+(\.\d+)?) s after boot$/;
const drainPattern = /^since (?<since>\d+(\.\d+)?) s after boot(, for (?<deadline>\d+(\.\d+)?) s)?$/;

/** Milliseconds. */
const readComment = (
  record: SetElement | undefined,
  pattern: RegExp,
  group: 'since' | 'deadline',
): number | undefined => {
  const text = pattern.exec(record?.comment ?? '')?.groups?.[group];
  return text === undefined ? undefined : Math.round(Number(text) * 1_000);
};

const readSince = (record: SetElement | undefined, pattern: RegExp, now: number): number | undefined => {
  const since = readComment(record, pattern, 'since');
  return since !== undefined && since <= now ? since : undefined;
};

/** The start of the quarantine according to the record; undefined if it records none, or one in the future. */
export const quarantinedSince = (record: SetElement | undefined, now: number): number | undefined =>
  readSince(record, quarantinePattern, now);

/**
 * The start of the drain according to the record; undefined if the record is invalid or lies in the future.
 */
export const recordedSince = (record: SetElement | undefined, now: number): number | undefined =>
  readSince(record, drainPattern, now);

/** The drain deadline of the Service according to the record. */
export const recordedDeadline = (record: SetElement | undefined): number | undefined =>
  readComment(record, drainPattern, 'deadline');

const isOfSet = (key: ElementKey, set: string): boolean =>
  key.startsWith(set, 'IPv4 '.length) && key.startsWith(' ', 'IPv4 '.length + set.length);

export const isDrainRecord = (key: ElementKey): boolean =>
  isOfSet(key, drainingSet) || isOfSet(key, drainingByMarkSet);

/** Only a drain check determines which drain records are desired. */
export const withoutDrainRecords = (dirty: DirtyKeys): DirtyKeys => ({
  ...dirty,
  elements: new Set([...dirty.elements].filter((key) => !isDrainRecord(key))),
});
