import { defaultInstance } from '../../src/model/instance-names.js';
import { families, type Family } from '../../src/base/ip.js';
import type { VirtualServerEntry } from '../../src/model/virtual-server.js';
import { setElement } from '../../src/nftables/declarations.js';
import { setDeclaration } from '../../src/plan/packet-rules/packet-sets.js';
import { ip } from './objects.js';
import type { ProductionNode } from './production-node.js';
import { at, real, virtual } from './virtual-server-entries.js';

/** What other programs have on the node: nothing of it is the daemon's. */
const foreignServers: readonly VirtualServerEntry[] = [
  { server: virtual(at('TCP', '192.0.2.77', 80), { scheduler: 'wlc' }), reals: [real('10.7.0.1', 80)] },
  { server: virtual(at('UDP', '192.0.2.77', 53)), reals: [real('10.7.0.2', 53, { weight: 0 })] },
  { server: virtual({ by: 'fwmark', fwmark: 7, family: 'IPv4' }), reals: [] },
].map(({ server, reals }) => ({ server, realServers: new Map(reals.map((one) => [one.key, one])) }));
const foreignKeys = new Set(foreignServers.map(({ server }) => server.key));
const foreignTable = 'other';

export const isForeignLine = (line: string): boolean =>
  [...foreignKeys].some((key) => line.startsWith(`${key} `));

/** Addresses of Services in test/support/arbitrary-cluster.ts, and one of none. */
const foreignRoutes = ['10.96.0.1', 'fd00:96::1', '192.0.2.77'].map(ip);

export const setUpForeignObjects = async ({ kernel, other }: ProductionNode): Promise<void> => {
  for (const address of foreignRoutes) kernel.route.routes.addForeign(address);
  for (const { server, realServers } of foreignServers) {
    await other.apply({ kind: 'add-virtual-server', server });
    for (const one of realServers.values())
      await other.apply({ kind: 'add-real-server', of: server.identity, server: one });
  }
  await other.changeRules({
    kind: 'declare-table',
    declaration: {
      family: 'IPv4',
      name: foreignTable,
      sets: [],
      chains: [
        {
          name: 'forward',
          hook: { type: 'filter', hook: 'forward', priority: 0, policy: 'drop' },
          rules: [{ expressions: [{ kind: 'verdict', verdict: 'accept' }], comment: 'theirs' }],
        },
      ],
    },
  });
};

/** All of it, as it is now. */
export const foreignObjects = async ({ kernel, other, lines }: ProductionNode): Promise<unknown> => [
  lines.filter(isForeignLine),
  kernel.route.routes.foreign(),
  await other.nftables.table('IPv4', foreignTable),
];

/**
 * Something that another program, or the administrator, does to what is the daemon's: at once, within the call. `pick` chooses
 * among what there is. What the kernel refuses does not matter.
 */
export type ForeignHand = (node: ProductionNode, pick: number) => void;

const chosen = <T>(all: readonly T[], pick: number): T | undefined => all[pick % Math.max(1, all.length)];

const ourServer = ({ kernel }: ProductionNode, pick: number): VirtualServerEntry | undefined =>
  chosen(
    kernel.ipvs.tables().filter(({ server }) => !foreignKeys.has(server.key)),
    pick,
  );

const onRealServer =
  (kind: 'update-real-server' | 'delete-real-server', weight: number): ForeignHand =>
  (node, pick) => {
    const entry = ourServer(node, pick);
    const server = entry && chosen([...entry.realServers.values()], pick);
    if (entry === undefined || server === undefined) return;
    void node.other.ipvs.apply([{ kind, of: entry.server.identity, server: { ...server, weight } }]);
  };

const familyOf = (pick: number): Family => families[pick % families.length] ?? 'IPv4';

const bogus = setElement('IPv4', 'vips', [ip('203.0.113.66')]);

/** Which of them take away what says that a virtual server is ours: the next process would know nothing of it. */
export const takesMarkers: ReadonlySet<string> = new Set(['delete our table', 'delete an element']);

export const foreignHands = {
  'delete a virtual server': (node, pick) => {
    const entry = ourServer(node, pick);
    if (entry !== undefined)
      void node.other.ipvs.apply([{ kind: 'delete-virtual-server', server: entry.server.identity }]);
  },
  'change a scheduler': (node, pick) => {
    const entry = ourServer(node, pick);
    if (entry !== undefined)
      void node.other.ipvs.apply([
        { kind: 'update-virtual-server', server: { ...entry.server, scheduler: 'nq' } },
      ]);
  },
  'change a weight': onRealServer('update-real-server', 5),
  'take the weight': onRealServer('update-real-server', 0),
  'delete a real server': onRealServer('delete-real-server', 1),
  'add a real server': (node, pick) => {
    const entry = ourServer(node, pick);
    if (entry?.server.identity.by !== 'address' || entry.server.identity.address.includes(':')) return;
    const server = real('10.7.0.9', 99);
    void node.other.ipvs.apply([{ kind: 'add-real-server', of: entry.server.identity, server }]);
  },
  'unbind an address': (node, pick) => {
    const text = chosen(node.addresses, pick);
    if (text !== undefined) node.kernel.route.removeAddress(`${defaultInstance.dummyInterface} ${text}`);
  },
  'bind an address': ({ kernel }) => kernel.route.bindDummyAddress(ip('203.0.113.66')),
  'delete a local route': ({ kernel }, pick) => {
    const vip = chosen(kernel.route.routes.vips(), pick);
    if (vip !== undefined) kernel.route.routes.remove(vip);
  },
  'add a local route as ours': ({ kernel }) => kernel.route.routes.add(ip('203.0.113.66')),
  'delete kube-ipvs0': ({ kernel }) => kernel.route.removeLink(defaultInstance.dummyInterface),
  'delete our table': ({ other }, pick) =>
    void other.nftables.transaction([
      { kind: 'delete-table', family: familyOf(pick), name: defaultInstance.table },
    ]),
  'delete an element': ({ kernel, other }, pick) => {
    const element = chosen([...kernel.nftables.elementsOf(defaultInstance.table)], pick);
    const set = element && setDeclaration(element.set);
    if (element === undefined || set === undefined) return;
    const { family } = element;
    void other.nftables.transaction([
      { kind: 'delete-elements', family, table: defaultInstance.table, set, elements: [element] },
    ]);
  },
  'add an element': ({ other }) => {
    const set = setDeclaration(bogus.set);
    if (set === undefined) return;
    void other.nftables.transaction([
      { kind: 'add-elements', family: 'IPv4', table: defaultInstance.table, set, elements: [bogus] },
    ]);
  },
} as const satisfies Readonly<Record<string, ForeignHand>>;

export type ForeignHandName = keyof typeof foreignHands;
