import { families, familyOf, hostPrefixLength, type Cidr, type Family } from '../base/ip.js';
import { IpvsClient } from '../kernel/ipvs/client.js';
import { acceptRules, deleteAcceptRule, type AcceptRule } from '../kernel/nftables/accept-answers.js';
import { NftablesClient } from '../kernel/nftables/client.js';
import { RouteClient } from '../kernel/rtnetlink/client.js';
import type { Link, LinkAddress } from '../kernel/rtnetlink/convert.js';
import { tableName, type ElementKey } from '../model/nftables.js';
import { dummyInterfaceName } from '../model/node.js';
import { virtualServerKey, type VirtualServerIdentity } from '../model/virtual-server.js';
import type { Outcome } from '../model/operation.js';
import { NetlinkError } from '../netlink/errors.js';
import { ownershipOf, type OwnershipFacts } from '../plan/ownership.js';
import { isNamedIn } from '../plan/packet-elements.js';
import { isPacketClass } from '../plan/packet-table.js';
import { withRemedy } from './read-kernel.js';

export interface CleanupOptions {
  /** Virtual servers inside are left alone. */
  readonly excludeCidrs: readonly Cidr[];
  /** Only say what would be removed. */
  readonly dryRun: boolean;
}

/** A part of the kernel; undefined where this kernel does not have it, and so nothing of ours in it. */
interface Clients extends Disposable {
  readonly ipvs: IpvsClient | undefined;
  readonly route: RouteClient;
  readonly nftables: NftablesClient | undefined;
}

/** What a kernel answers that lacks IPVS, nftables or nftables for a family. */
const lacking: readonly string[] = ['ENOENT', 'EPROTONOSUPPORT', 'EOPNOTSUPP', 'EAFNOSUPPORT', 'EINVAL'];

const unlessLacking = async <T>(get: () => T | Promise<T>): Promise<T | undefined> => {
  try {
    return await get();
  } catch (error) {
    if (error instanceof NetlinkError && lacking.includes(error.errno)) return undefined;
    throw error;
  }
};

const openClients = async (): Promise<Clients> => {
  const ipvs = await unlessLacking(() => IpvsClient.open());
  const route = RouteClient.open();
  const nftables = await unlessLacking(() => NftablesClient.open());
  return {
    ipvs,
    route,
    nftables,
    [Symbol.dispose]: () => {
      ipvs?.close();
      route.close();
      nftables?.close();
    },
  };
};

/** All that is ours, and what stands beside it. */
interface Found {
  readonly virtualServers: readonly VirtualServerIdentity[];
  readonly others: readonly VirtualServerIdentity[];
  readonly dummy: Link | undefined;
  readonly addresses: readonly LinkAddress[];
  readonly tables: readonly Family[];
  readonly rules: readonly AcceptRule[];
}

const readTables = async ({
  nftables,
}: Clients): Promise<{ readonly tables: readonly Family[]; readonly named: ReadonlySet<ElementKey> }> => {
  const tables: Family[] = [];
  const named = new Set<ElementKey>();
  for (const family of families) {
    const table = await unlessLacking(() => nftables?.table(family, tableName));
    if (table === undefined) continue;
    tables.push(family);
    for (const set of table.sets.filter(({ name }) => isPacketClass(name))) {
      const elements = await unlessLacking(() => nftables?.elements(family, tableName, set));
      for (const { key } of elements ?? []) named.add(key);
    }
  }
  return { tables, named };
};

const read = async (clients: Clients, excludeCidrs: readonly Cidr[]): Promise<Found> => {
  const { tables, named } = await readTables(clients);
  const dummy = await clients.route.link(dummyInterfaceName);
  const addresses = (await clients.route.addresses()).filter(
    ({ interfaceIndex }) => dummy?.kind === 'dummy' && interfaceIndex === dummy.index,
  );
  const bound = new Set(addresses.map(({ address }) => address));
  const facts: OwnershipFacts = {
    hasDummyAddress: (address) => bound.has(address),
    isNamed: (identity) => isNamedIn(identity, (key) => named.has(key)),
    takesOver: false,
    hasNodeAddress: () => false,
    excludeCidrs,
  };
  const all = ((await clients.ipvs?.virtualServers()) ?? []).map(({ identity }) => identity);
  const isOurs = (identity: VirtualServerIdentity): boolean => ownershipOf(identity, facts) === 'ours';
  return {
    virtualServers: all.filter(isOurs),
    others: all.filter((identity) => !isOurs(identity)),
    dummy,
    addresses,
    tables,
    rules: (await unlessLacking(acceptRules)) ?? [],
  };
};

const count = (number: number, what: string, plural = `${what}s`): string =>
  `${number} ${number === 1 ? what : plural}`;

const textOfTable = (family: Family): string => `table ${family === 'IPv4' ? 'ip' : 'ip6'} ${tableName}`;

/** Something of ours: what it is, and how it goes. */
interface Removal {
  readonly what: string;
  /** Undefined: it has gone. Otherwise why it can't be removed. */
  readonly remove: () => Promise<string | undefined>;
}

/** `gone`: errno names that mean that there is nothing to remove any more. */
const reasonOf = (outcome: Outcome | undefined, gone: readonly string[]): string | undefined => {
  if (outcome === undefined || outcome.status === 'unknown') return 'the kernel gave no answer; try again';
  return outcome.status === 'applied' || gone.includes(outcome.errno) ? undefined : outcome.message;
};

const removeVirtualServers = ({ ipvs }: Clients, found: Found): readonly Removal[] => {
  const operations = found.virtualServers.map(
    (server) => ({ kind: 'delete-virtual-server', server }) as const,
  );
  let outcomes: Promise<readonly Outcome[]> | undefined;
  return found.virtualServers.map((identity, index) => ({
    what: `virtual server ${virtualServerKey(identity)}`,
    // All at once, when the first one is to go.
    remove: async () => reasonOf((await (outcomes ??= ipvs?.apply(operations)))?.[index], ['ESRCH']),
  }));
};

const removeInterface = ({ route }: Clients, { dummy, addresses }: Found): readonly Removal[] => {
  if (dummy === undefined) return [];
  if (dummy.kind !== 'dummy')
    return [
      {
        what: `interface ${dummyInterfaceName}`,
        remove: async () =>
          `it is no dummy device (${dummy.kind ?? 'of another kind'}), so kube-ipvs has not made it; if nobody needs it: ip link delete ${dummyInterfaceName}`,
      },
    ];
  const held = addresses.map(({ address }) => `${address}/${hostPrefixLength(familyOf(address))}`).toSorted();
  return [
    {
      what: `interface ${dummyInterfaceName} with ${count(held.length, 'address', 'addresses')}`,
      remove: async () => reasonOf(await route.deleteLink(dummy.index), ['ENODEV']),
    },
  ];
};

const removeTables = ({ nftables }: Clients, { tables }: Found): readonly Removal[] =>
  tables.map((family) => ({
    what: textOfTable(family),
    remove: async () => {
      const outcome = await nftables?.transaction([{ kind: 'delete-table', family, name: tableName }]);
      return reasonOf(outcome, ['ENOENT']);
    },
  }));

const removeRules = ({ rules }: Found): readonly Removal[] =>
  rules.map((rule) => ({
    what: `our rule in chain ${rule.chain} of table ${rule.family} ${rule.table}`,
    remove: async () => deleteAcceptRule(rule),
  }));

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const perform = async (removals: readonly Removal[], dryRun: boolean): Promise<number> => {
  let left = 0;
  for (const { what, remove } of removals) {
    if (dryRun) {
      say(`would remove ${what}`);
      continue;
    }
    const reason = await remove();
    if (reason === undefined) say(`removed ${what}`);
    else {
      left += 1;
      process.stderr.write(`kube-ipvs: could not remove ${what}: ${reason}\n`);
    }
  }
  return left;
};

/**
 * Removes what kube-ipvs made: its virtual servers, then kube-ipvs0 with its addresses and its rules in chains of others, then
 * its packet rules, which say what is ours. Asks no API server. 0: nothing of ours is left; 1: something is, told on standard error. Rejects with
 * KernelAccessError where we may not look.
 */
export const cleanup = async ({ excludeCidrs, dryRun }: CleanupOptions): Promise<number> => {
  try {
    using clients = await openClients();
    const found = await read(clients, excludeCidrs);
    const virtualServers = removeVirtualServers(clients, found);
    const links = removeInterface(clients, found);
    const tables = removeTables(clients, found);
    const rules = removeRules(found);
    if ([...virtualServers, ...links, ...tables, ...rules].length === 0) say('nothing of kube-ipvs is here');
    const stuck = await perform(virtualServers, dryRun);
    const left = stuck + (await perform([...links, ...rules], dryRun));
    // The tables are the record of what is ours: they stay as long as something is to be found by them.
    const kept = stuck === 0 ? await perform(tables, dryRun) : tables.length;
    if (stuck > 0 && kept > 0)
      process.stderr.write(
        'kube-ipvs: kept the packet rules, by which the next cleanup knows the virtual servers that are left\n',
      );
    if (found.others.length > 0)
      say(
        `left alone ${count(found.others.length, 'virtual server')} of others: ${found.others.map(virtualServerKey).toSorted().join(', ')}`,
      );
    return left + kept === 0 ? 0 : 1;
  } catch (error) {
    throw withRemedy(error);
  }
};
