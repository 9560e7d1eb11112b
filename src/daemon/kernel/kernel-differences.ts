import { cachedTableText } from '../../apply/packet-rules/table-comparison.js';
import type { Family } from '../../base/ip.js';
import type { Settings } from '../../config/settings.js';
import type { TableDeclaration } from '../../nftables/declarations.js';
import type { TableState, WrongSetting } from '../../plan/output/node-plan.js';
import { planKernelSettings, type KernelFacts } from './kernel-settings.js';

/** The required settings that differ. */
export const settingDifferences = (
  settings: Pick<Settings, 'strictArp' | 'conntrack'>,
  facts: KernelFacts,
): readonly WrongSetting[] =>
  planKernelSettings(settings, facts)
    .changes.filter(({ required }) => required === true)
    .map(({ setting: { name }, value, previous }) => ({
      name,
      wanted: value,
      ...(previous === 'unreadable' ? {} : { found: previous }),
    }));

/** Compares our tables in the kernel with the text that `desiredText` returns for a family. */
export const tableStates = async (
  { table, families }: { readonly table: string; readonly families: readonly Family[] },
  client: { table(family: Family, name: string): Promise<TableDeclaration | undefined> },
  desiredText: (family: Family, present: TableDeclaration) => string | undefined,
): Promise<ReadonlyMap<Family, TableState>> => {
  const states = new Map<Family, TableState>();
  for (const family of families) {
    const present = await client.table(family, table);
    if (present === undefined) states.set(family, 'missing');
    else
      states.set(family, cachedTableText(present) === desiredText(family, present) ? 'as wanted' : 'changed');
  }
  return states;
};
