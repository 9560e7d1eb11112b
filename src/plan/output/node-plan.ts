import type { Family } from '../../base/ip.js';
import { tableName } from '../../nftables/declarations.js';
import { dummyInterfaceName } from '../../model/node.js';
import type { PlanGroup, PlanStep } from './plan-text.js';

/** The state of a table of kube-ipvs, without its elements. */
export type TableState = 'missing' | 'changed' | 'as wanted';

/** A required kernel setting that has another value. */
export interface WrongSetting {
  /** In the notation of sysctl. */
  readonly name: string;
  readonly wanted: number;
  /** Absent where it cannot be read. */
  readonly found?: number;
}

/** The prerequisites of all other steps. */
export interface NodeState {
  readonly hasDummyInterface: boolean;
  /** For families that have tables on this node. */
  readonly tables: ReadonlyMap<Family, TableState>;
  readonly settings: readonly WrongSetting[];
}

const tableStep = (family: Family, state: TableState): PlanStep =>
  state === 'missing'
    ? { op: 'add', kind: 'table', key: `${family} ${tableName}` }
    : {
        op: 'change',
        kind: 'table',
        key: `${family} ${tableName}`,
        wanted: { rules: 'as declared' },
        found: { rules: 'changed' },
      };

const settingStep = ({ name, wanted, found }: WrongSetting): PlanStep => ({
  op: 'change',
  kind: 'sysctl',
  key: name,
  wanted: { value: wanted },
  found: { value: found ?? 'unreadable' },
});

/** The steps that come before all others; no group if there are none. */
export const nodePlanGroups = ({ hasDummyInterface, tables, settings }: NodeState): readonly PlanGroup[] => {
  const steps: readonly PlanStep[] = [
    ...settings.map(settingStep),
    ...(hasDummyInterface
      ? []
      : [{ op: 'add', kind: 'link', key: dummyInterfaceName, wanted: { kind: 'dummy' } } as const]),
    ...[...tables]
      .filter(([, state]) => state !== 'as wanted')
      .map(([family, state]) => tableStep(family, state)),
  ];
  return steps.length === 0 ? [] : [{ name: 'the node', steps }];
};
