import type { Family } from '../../../base/ip.js';
import { hostPrefixLength } from '../../../base/ip.js';
import type { RealServer, VirtualServer, VirtualServerEntry } from '../../../model/virtual-server.js';
import { hostIsLittleEndian } from '../../../netlink/constants.js';
import { identityFamily } from '../convert.js';
import { TableFileError } from './table-file-error.js';

/** What the file shows of the settings of a virtual server. */
export interface FileSettings {
  readonly scheduler: string;
  /** The flag `ops`; the file never shows it for IPv6. */
  readonly onePacket: boolean;
  readonly persistence: FilePersistence | undefined;
}

export interface FilePersistence {
  /** In ticks of the kernel's clock, whose rate (CONFIG_HZ) no file tells. */
  readonly ticks: number;
  /** As a number in the host's order. */
  readonly netmask: number;
}

const form = /^(\S+)( ops)? *(?:persistent (-?\d+) ([0-9A-F]{8}))? *$/;

/** Parses `rr`, `rr ops`, `sh persistent 1080000 FFFFFFFF`. */
export const parseSettings = (text: string): FileSettings => {
  const [whole, scheduler, ops, ticks, netmask] = form.exec(text) ?? [];
  if (whole === undefined || scheduler === undefined)
    throw new TableFileError(`has a virtual server with the settings ${JSON.stringify(text)}`);
  return {
    scheduler,
    onePacket: ops !== undefined,
    persistence:
      ticks === undefined || netmask === undefined
        ? undefined
        : { ticks: Number(ticks), netmask: Number.parseInt(netmask, 16) },
  };
};

const swapped = (value: number): number =>
  new DataView(new Uint32Array([value]).buffer).getUint32(0, !hostIsLittleEndian);

/** The file converts the netmask from network order, also the prefix length that IPv6 has there in host order. */
const netmaskNumber = (family: Family, prefixLength: number): number => {
  if (family === 'IPv6') return swapped(prefixLength);
  return prefixLength === 0 ? 0 : (0xffffffff << (hostPrefixLength(family) - prefixLength)) >>> 0;
};

/** Converts the seconds of persistence to ticks, at a rate that it learns from what netlink reports for the same virtual server. */
export class TickRate {
  /** Ticks per second. */
  #rate: number | undefined;

  learn({ ticks }: FilePersistence, seconds: number): void {
    const rate = ticks / seconds;
    if (Number.isInteger(rate) && rate > 0) this.#rate = rate;
  }

  /** As the file prints it, with the sign of 32 bits; undefined before a rate was learned. */
  ticksOf(seconds: number): number | undefined {
    return this.#rate === undefined ? undefined : (seconds * this.#rate) | 0;
  }
}

/** Whether the file shows what a virtual server with these settings has there. False also before the tick rate is known. */
export const showsSettings = (shown: FileSettings, server: VirtualServer, rate: TickRate): boolean => {
  const { scheduler, persistence, flags, identity } = server;
  const family = identityFamily(identity);
  if (shown.scheduler !== scheduler) return false;
  if (shown.onePacket !== (flags.includes('ops') && (family === 'IPv4' || identity.by === 'fwmark')))
    return false;
  if (shown.persistence === undefined || persistence === undefined)
    return shown.persistence === undefined && persistence === undefined;
  return (
    shown.persistence.ticks === rate.ticksOf(persistence.seconds) &&
    shown.persistence.netmask === netmaskNumber(family, persistence.prefixLength)
  );
};

/**
 * Whether the virtual server has settings that the file does not show. `mh-port` does not count: kube-proxy sets it on every
 * virtual server of the scheduler mh. The real servers of a Service have the same thresholds.
 */
export const hasHiddenSettings = ({ server, realServers }: VirtualServerEntry): boolean => {
  if (server.flags.some((flag) => flag !== 'mh-port')) return true;
  const [first] = realServers.values();
  return first !== undefined && hasThresholds(first);
};

/** The file shows no thresholds. */
export const hasThresholds = ({ upperThreshold, lowerThreshold }: RealServer): boolean =>
  upperThreshold > 0 || lowerThreshold > 0;
