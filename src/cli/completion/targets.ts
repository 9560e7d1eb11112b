import { sleep } from '../../base/async.js';
import { formatSocketAddress, type IpAddress } from '../../base/ip.js';
import { count } from '../../base/text.js';
import { inIdentityOrder } from '../../plan/table-order.js';
import { adminClient } from '../admin-client.js';
import { readVirtualServers } from '../read-kernel.js';
import type { Candidate } from './complete.js';

/** Who has pressed Tab waits no longer. */
const patienceMilliseconds = 400;

/** VIPs; and a VIP's ports, once it is written. */
const addressTargets = async (start: string): Promise<readonly Candidate[]> => {
  const protocols = new Map<IpAddress, Map<number, string[]>>();
  for (const { identity } of inIdentityOrder(await readVirtualServers(), (server) => server.identity)) {
    if (identity.by !== 'address') continue;
    const ports = protocols.get(identity.address) ?? new Map<number, string[]>();
    protocols.set(identity.address, ports);
    ports.set(identity.port, [...(ports.get(identity.port) ?? []), identity.protocol]);
  }
  const candidates: Candidate[] = [];
  for (const [address, ports] of protocols) {
    candidates.push({ word: address, summary: count(ports.size, 'port') });
    if (start !== address && !/^\[.*\]|^[^:]*:/.test(start)) continue;
    for (const [port, names] of ports)
      candidates.push({ word: formatSocketAddress(address, port), summary: names.join(', ') });
  }
  return candidates.filter(({ word }) => word.startsWith(start));
};

/** Services, their ports and pods, as the daemon knows them. */
const namedTargets = async (start: string): Promise<readonly Candidate[]> => {
  const answer = await adminClient(undefined)?.targets(start);
  return (answer?.targets ?? []).map(({ target, about }) => ({ word: target, summary: about }));
};

/** Nothing where it can't be looked up, or not in time: a shell has no place for errors. */
const inTime = async (looking: Promise<readonly Candidate[]>): Promise<readonly Candidate[]> => {
  const late = new AbortController();
  try {
    const nothing = sleep(patienceMilliseconds, late.signal).then((): readonly Candidate[] => []);
    return await Promise.race([looking, nothing]);
  } catch {
    return [];
  } finally {
    late.abort();
  }
};

/** What commands may be asked about and begins so. */
export const findTargets = async (start: string): Promise<readonly Candidate[]> => {
  const found = await Promise.all([inTime(namedTargets(start)), inTime(addressTargets(start))]);
  return found.flat();
};
