import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ConntrackClient } from '../../src/kernel/conntrack/client.js';
import { IpsetClient } from '../../src/kernel/ipset/client.js';
import { IpvsClient } from '../../src/kernel/ipvs/client.js';
import { acceptRules } from '../../src/kernel/nftables/foreign/accept-rules.js';
import { NftablesClient } from '../../src/kernel/nftables/client.js';
import { foreignChains } from '../../src/kernel/nftables/foreign/foreign-chains.js';
import { nftablesForwardFilters } from '../../src/kernel/nftables/foreign/forward-filters.js';
import { RtnetlinkClient } from '../../src/kernel/rtnetlink/client.js';
import type { VirtualServerIdentity, VirtualServerObservation } from '../../src/model/virtual-server.js';
import { Connection } from '../../src/netlink/connection.js';
import { DumpingKernel, dumpedTable } from '../support/dumping-kernel.js';
import { ip } from '../support/objects.js';

// Everything that reads a dump, on a kernel that interrupts it: what a pass had that the next one has no more is not told,
// and what both have is told once.

type Read = (connection: Connection) => unknown;

const identity: VirtualServerIdentity = {
  by: 'address',
  protocol: 'TCP',
  address: ip('10.96.0.10'),
  port: 80,
};
const states = { name: 'states', key: ['address'], verdicts: false, comment: '' } as const;
const opening = (connection: Connection) => () => NftablesClient.open(connection);
const ofKubeProxy = (chain: string): boolean => chain.startsWith('KUBE-');

const reads: Readonly<Record<string, Read>> = {
  'virtual servers': (connection) => IpvsClient.open(connection).virtualServers(),
  'virtual servers with turns': (connection) => IpvsClient.open(connection).virtualServersIncrementally(),
  statistics: (connection) => IpvsClient.open(connection).statistics(),
  'real servers': (connection) => IpvsClient.open(connection).realServers(identity),
  'synchronization daemons': (connection) => IpvsClient.open(connection).syncDaemons(),
  links: (connection) => RtnetlinkClient.open(defaultInstance, connection).links(),
  addresses: (connection) => RtnetlinkClient.open(defaultInstance, connection).addresses(),
  'local routes of ours': (connection) => RtnetlinkClient.open(defaultInstance, connection).vipRoutes(),
  'local routes of others': (connection) =>
    RtnetlinkClient.open(defaultInstance, connection).foreignLocalRoutes(),
  'local IPv6 addresses': async (connection) => [
    ...(await RtnetlinkClient.open(defaultInstance, connection).localIpv6Addresses()),
  ],
  gateways: async (connection) => [
    ...(await RtnetlinkClient.open(defaultInstance, connection).gateways(['IPv4'])),
  ],
  flows: (connection) => ConntrackClient.open(connection).flows({ family: 'IPv4', protocol: 'UDP' }),
  'names of sets': (connection) => IpsetClient.open(connection).names(() => true),
  'ports of a set': (connection) => IpsetClient.open(connection).ports('KUBE-NODE-PORT-TCP'),
  'a table with sets, chains and rules': (connection) =>
    NftablesClient.open(connection).table('IPv4', dumpedTable),
  elements: (connection) => NftablesClient.open(connection).elements('IPv4', dumpedTable, states),
  tables: (connection) => NftablesClient.open(connection).tables(),
  chains: (connection) => NftablesClient.open(connection).chains(),
  rules: (connection) => NftablesClient.open(connection).rules(),
  'rules of a chain': (connection) =>
    NftablesClient.open(connection).rules({ family: 'ip', table: dumpedTable, chain: 'KUBE-2' }),
  'chains of kube-proxy with the jumps to them': (connection) =>
    foreignChains(ofKubeProxy, opening(connection)),
  'our rules in chains of others': (connection) => acceptRules(defaultInstance.table, opening(connection)),
  'forward filters': (connection) => nftablesForwardFilters(opening(connection)),
};

const readFrom = async (read: Read, kernel: DumpingKernel): Promise<unknown> =>
  read(Connection.open('netfilter', { channel: () => kernel.channel }));
const interrupting = (): DumpingKernel => new DumpingKernel({ before: [1, 2], after: [2, 3] });

for (const [what, read] of Object.entries(reads))
  test(`${what}: of an interrupted dump nothing is told`, async () => {
    const before = await readFrom(read, new DumpingKernel({ after: [1, 2] }));
    const after = await readFrom(read, new DumpingKernel({ after: [2, 3] }));
    assert.notDeepEqual(before, after);
    const kernel = interrupting();
    assert.deepEqual(await readFrom(read, kernel), after);
    assert.ok(kernel.interruptions > 0);
  });

test('what is told of the objects is theirs', async () => {
  const servers = await readFrom(
    (connection) => IpvsClient.open(connection).virtualServers(),
    interrupting(),
  );
  assert.deepEqual(
    (servers as readonly VirtualServerObservation[]).map(({ key }) => key),
    ['TCP 10.96.0.2:80', 'TCP 10.96.0.3:80'],
  );
  assert.deepEqual(
    await readFrom((connection) => foreignChains(ofKubeProxy, opening(connection)), interrupting()),
    [
      {
        family: 'ip',
        table: 'filter',
        chains: ['KUBE-2', 'KUBE-3'],
        jumps: [
          { chain: 'INPUT', handle: 2n },
          { chain: 'INPUT', handle: 3n },
        ],
      },
    ],
  );
});

test('every dump of the sources is read above', () => {
  const sources = fileURLToPath(new URL('../../../src', import.meta.url));
  const dumps = readdirSync(sources, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.startsWith('netlink/'))
    .flatMap((file) => {
      const calls = readFileSync(join(sources, file), 'utf8').match(/\.dump(Incrementally)?\(/g) ?? [];
      return calls.length === 0 ? [] : [[file, calls.length] as const];
    });
  // A new dump: add it to `reads` too.
  assert.deepEqual(Object.fromEntries(dumps), {
    'kernel/conntrack/client.ts': 1,
    'kernel/ipset/client.ts': 2,
    'kernel/ipvs/client.ts': 4,
    'kernel/nftables/client.ts': 7,
    'kernel/rtnetlink/client.ts': 6,
  });
});
