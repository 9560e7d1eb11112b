import { DummyInterface } from '../../apply/dummy-interface.js';
import { withoutRecords } from '../../apply/drains.js';
import { Observed } from '../../apply/observed.js';
import { PacketRules } from '../../apply/packet-rules.js';
import { Resync } from '../../apply/resync.js';
import { cidrContains, parseCidr, type IpAddress } from '../../base/ip.js';
import { silentLogger } from '../../base/log.js';
import { tableName } from '../../model/nftables.js';
import { virtualServerKey } from '../../model/virtual-server.js';
import type { WantedAnswer } from '../../plan/wanted-answer.js';
import { diff, union, type Touched } from '../../plan/diff.js';
import { LeftAlone } from '../../plan/excluded.js';
import { nodeGroups } from '../../plan/node-steps.js';
import { phases } from '../../plan/order.js';
import { ownershipOf, type OwnershipFacts } from '../../plan/ownership.js';
import { isNamedIn } from '../../plan/packet-elements.js';
import { planGroups, type Owners, type PlanGroup } from '../../plan/plan-text.js';
import { AnsweredWanted } from '../../plan/wanted-answer.js';
import { openKernel, type KernelAccess } from '../kernel-access.js';
import { tableStates } from './node.js';

/** What is there now, read by the same code as the daemon's resync; ours is what it wants, and what its packet rules name. */
const readNow = async (
  { ipvs, nftables, packetFamilies }: KernelAccess,
  dummy: DummyInterface,
  facts: (observed: Observed) => Pick<OwnershipFacts, 'isExcluded' | 'isWanted'>,
): Promise<Observed> => {
  const observed = new Observed();
  const packetRules = new PacketRules({
    client: nftables,
    families: packetFamilies,
    declaration: (family) => ({ family, name: tableName, sets: [], chains: [] }),
    held: () => [],
    inDoubt: () => {},
    log: silentLogger,
  });
  observed.setElements(await packetRules.read());
  const { isWanted, isExcluded } = facts(observed);
  const resync = new Resync({
    ipvs,
    observed,
    dummyAddresses: () => dummy.addresses(),
    isOurs: (identity) =>
      isWanted(virtualServerKey(identity)) ||
      ownershipOf(identity, {
        isNamed: (named) => isNamedIn(named, (key) => observed.element(key) !== undefined),
        hasRecord: (family) => packetFamilies.includes(family),
        takesOver: () => false,
        isWanted,
        isGiven: () => false,
        hasDummyAddress: (address) => observed.hasAddress(address),
        hasNodeAddress: () => false,
        isExcluded,
      }) === 'ours',
    isWanted,
    // Half a picture would show differences that are none.
    unreadable: (_, error) => {
      throw error;
    },
    contested: { replace: () => {}, identities: () => [] },
  });
  await resync.begin({ anew: true });
  return observed;
};

const withElementsOf = (touched: Touched, { packetFamilies }: KernelAccess): Touched => ({
  ...touched,
  elements: new Set(
    [...touched.elements].filter((key) => packetFamilies.some((family) => key.startsWith(`${family} `))),
  ),
});

/** How the kernel differs from what the daemon says that it should hold. Changes nothing. */
export const compareWithAnswer = async (
  answer: WantedAnswer,
  owners: Owners,
): Promise<readonly PlanGroup[]> => {
  using kernel = await openKernel();
  const asked = new AnsweredWanted(answer);
  const excluded = answer.excludeCidrs.flatMap((text) => parseCidr(text) ?? []);
  const isExcluded = (address: IpAddress): boolean => excluded.some((cidr) => cidrContains(cidr, address));
  const dummy = new DummyInterface(kernel.route, silentLogger);
  const observed = await readNow(kernel, dummy, () => ({
    isExcluded,
    isWanted: (key) => asked.virtualServer(key) !== undefined,
  }));
  const wanted = new LeftAlone({ wanted: asked, observed, isExcluded });
  const keys = withElementsOf(withoutRecords(union(asked.keys(), observed.keys())), kernel);
  const operations = diff(wanted, observed, keys, asked.drainSettings);
  return [
    ...nodeGroups({
      hasDummyInterface: (await dummy.find()) !== undefined,
      tables: await tableStates(
        kernel.packetFamilies,
        kernel.nftables,
        (family) => answer.packetTables[family],
      ),
      settings: answer.kernelSettings,
    }),
    ...planGroups(phases(operations), owners, observed),
  ];
};
