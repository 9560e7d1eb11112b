import type { Settings } from '../../config/settings.js';
import { nodeGroups } from '../../plan/node-steps.js';
import { planGroups, type PlanGroup } from '../../plan/plan-text.js';
import { kernelFacts, type KernelAccess } from '../kernel-access.js';
import type { Wired } from '../wiring.js';
import { tableStates, wrongSettings } from './node.js';

/** What the first sync of a daemon would do. Reads the kernel, changes nothing. */
export const planOf = async (
  { proxy, dummy, packetRules, wanted, observed }: Wired,
  { nftables, packetFamilies }: Pick<KernelAccess, 'nftables' | 'packetFamilies'>,
  settings: Settings,
): Promise<readonly PlanGroup[]> => {
  const ordered = await proxy.plan();
  return [
    ...nodeGroups({
      hasDummyInterface: (await dummy.find()) !== undefined,
      tables: await tableStates(packetFamilies, nftables, (family, present) =>
        packetRules.wantedText(family, present),
      ),
      settings: wrongSettings(settings, kernelFacts()),
    }),
    ...planGroups(ordered, wanted.desired, observed),
  ];
};
