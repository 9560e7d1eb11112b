import { sleep } from '../../base/async.js';
import { formatSocketAddress, type IpAddress } from '../../base/ip.js';
import { formatCount } from '../../base/text.js';
import { inIdentityOrder } from '../../plan/output/sort-order.js';
import { adminClient } from '../admin/admin-client.js';
import { readVirtualServers } from '../kernel/read-kernel.js';
import type { CompletionCandidate } from './complete.js';

/** A user who pressed Tab should not wait longer. */
const lookupTimeoutMilliseconds = 400;

/** VIPs; for a complete VIP its ports too. */
const addressTargets = async (start: string): Promise<readonly CompletionCandidate[]> => {
  const protocols = new Map<IpAddress, Map<number, string[]>>();
  for (const { identity } of inIdentityOrder(await readVirtualServers(), (server) => server.identity)) {
    if (identity.by !== 'address') continue;
    const ports = protocols.get(identity.address) ?? new Map<number, string[]>();
    protocols.set(identity.address, ports);
    ports.set(identity.port, [...(ports.get(identity.port) ?? []), identity.protocol]);
  }
  const candidates: CompletionCandidate[] = [];
  for (const [address, ports] of protocols) {
    candidates.push({ word: address, summary: formatCount(ports.size, 'port') });
    if (start !== address && !/^\[.*\]|^[^:]*:/.test(start)) continue;
    for (const [port, names] of ports)
      candidates.push({ word: formatSocketAddress(address, port), summary: names.join(', ') });
  }
  return candidates.filter(({ word }) => word.startsWith(start));
};

/** Services, their ports and pods, from the daemon. */
const namedTargets = async (start: string): Promise<readonly CompletionCandidate[]> => {
  const response = await adminClient({})?.targets(start);
  return (response?.targets ?? []).map(({ target, about }) => ({ word: target, summary: about }));
};

/** Empty where the lookup fails or is too slow: completion cannot show errors. */
const withinTimeout = async (
  lookup: Promise<readonly CompletionCandidate[]>,
): Promise<readonly CompletionCandidate[]> => {
  const timeout = new AbortController();
  try {
    const nothing = sleep(lookupTimeoutMilliseconds, timeout.signal).then(
      (): readonly CompletionCandidate[] => [],
    );
    return await Promise.race([lookup, nothing]);
  } catch {
    return [];
  } finally {
    timeout.abort();
  }
};

/** The targets with this prefix. */
export const findTargets = async (start: string): Promise<readonly CompletionCandidate[]> => {
  const found = await Promise.all([withinTimeout(namedTargets(start)), withinTimeout(addressTargets(start))]);
  return found.flat();
};
