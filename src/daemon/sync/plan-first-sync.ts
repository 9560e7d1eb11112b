import type { Settings } from '../../config/settings.js';
import { nodePlanGroups } from '../../plan/output/node-plan.js';
import { paceWords, percentOf } from '../../plan/pace/pace-step.js';
import { planGroups, type PlanGroup, type ServiceOwners } from '../../plan/output/plan-text.js';
import { kernelFacts, type KernelAccess } from '../kernel/kernel-access.js';
import type { Composition } from '../compose.js';
import { tableStates, settingDifferences } from '../kernel/kernel-differences.js';

/** What the first sync of a daemon would do. Reads the kernel, changes nothing. */
export const planFirstSync = async (
  { syncLoop, dummy, packetRules, desiredStateUpdater, observed }: Composition,
  { nftables, packetFamilies }: Pick<KernelAccess, 'nftables' | 'packetFamilies'>,
  settings: Settings,
): Promise<readonly PlanGroup[]> => {
  const { names } = settings;
  const ordered = await syncLoop.plan();
  const { desired } = desiredStateUpdater;
  const owners: ServiceOwners = {
    ownerOf: (key) => desired.ownerOf(key),
    virtualServersAt: (address) => desired.virtualServersAt(address),
    virtualServer: (key) => desired.virtualServer(key),
    paceAt: (of, realServer) => {
      const pace = observed.paces.of(of)?.get(realServer);
      return pace && paceWords({ kind: pace.kind, percent: percentOf(pace) });
    },
  };
  return [
    ...nodePlanGroups({
      names,
      hasDummyInterface: (await dummy.find()) !== undefined,
      tables: await tableStates(
        { table: names.table, families: packetFamilies },
        nftables,
        (family, present) => packetRules.desiredText(family, present),
      ),
      settings: settingDifferences(settings, kernelFacts()),
    }),
    ...planGroups(ordered, owners, observed),
  ];
};
