import type { ForeignRule } from '../../model/forward-filter.js';
import { bytesAt, viewOf } from '../../netlink/codec/bytes.js';
import { hostIsLittleEndian } from '../../netlink/constants.js';
import { ProtocolError } from '../../netlink/errors.js';

/** Where struct ipt_entry and struct ip6t_entry differ (include/uapi/linux/netfilter_ipv{4/ip,6/ip6}_tables.h, 64 bit). */
interface EntryLayout {
  /** Bytes of addresses and masks, then of the interface names and their masks: zero where a rule has none. */
  readonly criteria: number;
  readonly protocol: number;
  readonly flags: number;
  readonly invertedFlags: number;
  readonly targetOffset: number;
  readonly nextOffset: number;
  readonly matches: number;
}

export const entryLayouts: Readonly<Record<'ip' | 'ip6', EntryLayout>> = {
  ip: {
    criteria: 80,
    protocol: 80,
    flags: 82,
    invertedFlags: 83,
    targetOffset: 88,
    nextOffset: 90,
    matches: 112,
  },
  ip6: {
    criteria: 128,
    protocol: 128,
    flags: 131,
    invertedFlags: 132,
    targetOffset: 140,
    nextOffset: 142,
    matches: 168,
  },
};

/** IPT_F_GOTO, IP6T_F_GOTO and IP6T_F_PROTO, which only says that the protocol counts. */
const gotoFlag = { ip: 0x02, ip6: 0x04 } as const;
const harmlessFlags = { ip: gotoFlag.ip, ip6: gotoFlag.ip6 | 0x01 } as const;

/** struct xt_entry_match and xt_entry_target: u16 size, 29 bytes name, u8 revision, then what the extension keeps. */
const extensionHeader = { size: 0, name: 2, nameLength: 29, revision: 31, length: 32 } as const;

/** include/uapi/linux/netfilter/xt_conntrack.h */
const conntrackState = 0x01;
const conntrackStateAlias = 0x2000;
const establishedBit = 0x02;

const text = (view: DataView, offset: number, length: number): string => {
  const bytes = bytesAt(view, offset, length);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
};

/** Whether a match accepts all packets of open connections; `info` is the extension's data. */
export const matchesEstablished = (name: string, revision: number, info: DataView): boolean => {
  switch (name) {
    case 'comment':
      return true;
    case 'state': // struct xt_state_info
      return info.byteLength >= 4 && (info.getUint32(0, hostIsLittleEndian) & establishedBit) !== 0;
    case 'conntrack': {
      // struct xt_conntrack_mtinfo1 to 3: eight addresses, two times, five u16, then these
      if (revision < 1 || info.byteLength < 154) return false;
      const flags = info.getUint16(146, hostIsLittleEndian);
      const inverted = info.getUint16(148, hostIsLittleEndian);
      const states = revision === 1 ? info.getUint8(150) : info.getUint16(150, hostIsLittleEndian);
      const isStateAlone = (flags & ~conntrackStateAlias) === conntrackState;
      const isInverted = (inverted & conntrackState) !== 0;
      return isStateAlone && ((states & establishedBit) !== 0) !== isInverted;
    }
    default:
      return false;
  }
};

interface Extension {
  readonly name: string;
  readonly revision: number;
  readonly info: DataView;
  readonly end: number;
}

const extensionAt = (view: DataView, offset: number, limit: number): Extension => {
  const size = offset + extensionHeader.length <= limit ? view.getUint16(offset, hostIsLittleEndian) : 0;
  if (size < extensionHeader.length || offset + size > limit)
    throw new ProtocolError(`x_tables: an extension of ${size} bytes at ${offset} of ${limit}`);
  return {
    name: text(view, offset + extensionHeader.name, extensionHeader.nameLength),
    revision: view.getUint8(offset + extensionHeader.revision),
    info: viewOf(bytesAt(view, offset + extensionHeader.length, size - extensionHeader.length)),
    end: offset + size,
  };
};

/** Targets that end the processing of a packet as a drop does. */
const droppingTargets: readonly string[] = ['DROP', 'REJECT', 'TARPIT'];

/** -NF_REPEAT - 1: return to the calling chain. */
const returnVerdict = -5;

const standardVerdict = (verdict: number, isGoto: boolean): ForeignRule['action'] => {
  if (verdict >= 0) return { verdict: isGoto ? 'goto' : 'jump', chain: String(verdict) };
  if (verdict === returnVerdict) return { verdict: 'return' };
  // Other values than -NF_DROP - 1 and -NF_ACCEPT - 1 (queue) let a program decide.
  return { verdict: verdict === -1 ? 'drop' : verdict === -2 ? 'accept' : 'continue' };
};

const actionOf = ({ name, info }: Extension, isGoto: boolean): ForeignRule['action'] => {
  if (name === '') return standardVerdict(info.getInt32(0, hostIsLittleEndian), isGoto);
  return { verdict: droppingTargets.includes(name) ? 'drop' : 'continue' };
};

const scopeOf = (
  family: 'ip' | 'ip6',
  view: DataView,
  offset: number,
  target: number,
): ForeignRule['scope'] => {
  const layout = entryLayouts[family];
  const hasCriteria =
    bytesAt(view, offset, layout.criteria).some((byte) => byte !== 0) ||
    view.getUint16(offset + layout.protocol, hostIsLittleEndian) !== 0 ||
    (view.getUint8(offset + layout.flags) & ~harmlessFlags[family]) !== 0 ||
    view.getUint8(offset + layout.invertedFlags) !== 0;
  if (hasCriteria) return 'some';
  for (let at = offset + layout.matches; at < target; ) {
    const match = extensionAt(view, at, target);
    if (!matchesEstablished(match.name, match.revision, match.info)) return 'some';
    at = match.end;
  }
  return 'all';
};

/** One entry of a table: its offset, and either a rule or the name of the chain that begins after it (target ERROR). */
export interface Entry {
  readonly offset: number;
  readonly rule: ForeignRule | undefined;
  /** `ERROR` at the end of the table. */
  readonly head: string | undefined;
}

/** Reads the entries of a table from IPT_SO_GET_ENTRIES. Entries that do not match their sizes are a ProtocolError. */
export const readEntries = (family: 'ip' | 'ip6', table: Uint8Array): readonly Entry[] => {
  const layout = entryLayouts[family];
  const view = viewOf(table);
  const entries: Entry[] = [];
  for (let offset = 0; offset < table.length; ) {
    if (offset + layout.matches > table.length) throw new ProtocolError('x_tables: an entry is cut off');
    const target = offset + view.getUint16(offset + layout.targetOffset, hostIsLittleEndian);
    const next = offset + view.getUint16(offset + layout.nextOffset, hostIsLittleEndian);
    if (target < offset + layout.matches || next <= target || next > table.length)
      throw new ProtocolError(`x_tables: an entry at ${offset} with its target at ${target} ends at ${next}`);
    const extension = extensionAt(view, target, next);
    const isGoto = (view.getUint8(offset + layout.flags) & gotoFlag[family]) !== 0;
    const rule: ForeignRule = {
      scope: scopeOf(family, view, offset, target),
      action: actionOf(extension, isGoto),
    };
    // struct xt_error_target: the name of the chain
    const head = extension.name === 'ERROR' ? text(extension.info, 0, extension.info.byteLength) : undefined;
    entries.push({ offset, rule: head === undefined ? rule : undefined, head });
    offset = next;
  }
  return entries;
};
