import { formatSocketAddress, type IpAddress } from '../../base/ip.js';
import { readVirtualServers } from '../read-kernel.js';
import type { Candidate } from './complete.js';

/** VIPs; and a VIP's ports, once it is written. */
const addressTargets = async (start: string): Promise<readonly Candidate[]> => {
  const protocols = new Map<IpAddress, Map<number, string[]>>();
  for (const { identity } of await readVirtualServers()) {
    if (identity.by !== 'address') continue;
    const ports = protocols.get(identity.address) ?? new Map<number, string[]>();
    protocols.set(identity.address, ports);
    ports.set(identity.port, [...(ports.get(identity.port) ?? []), identity.protocol]);
  }
  const candidates: Candidate[] = [];
  for (const [address, ports] of protocols) {
    candidates.push({ word: address, summary: ports.size === 1 ? '1 port' : `${ports.size} ports` });
    if (start !== address && !/^\[.*\]|^[^:]*:/.test(start)) continue;
    for (const [port, names] of ports)
      candidates.push({ word: formatSocketAddress(address, port), summary: names.join(', ') });
  }
  return candidates.filter(({ word }) => word.startsWith(start));
};

/** What commands may be asked about and begins so. Nothing where it can't be looked up: a shell has no place for errors. */
export const findTargets = async (start: string): Promise<readonly Candidate[]> => {
  try {
    return await addressTargets(start);
  } catch {
    return [];
  }
};
