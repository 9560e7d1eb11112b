import type { Family } from '../../base/ip.js';
import type { InstanceNames } from '../../model/instance-names.js';
import type { PlanGroup, PlanStep } from './plan-text.js';

/** The state of a table of kube-ipvs, without its elements. */
export type TableState = 'missing' | 'changed' | 'as wanted';

/** A required kernel setting that has another value. */
export interface WrongSetting {
  /** In the notation of sysctl. */
  readonly name: string;
  readonly wanted: number | string;
  /** Absent where it cannot be read. */
  readonly found?: number | string;
}

/** The prerequisites of all other steps. */
export interface NodeState {
  readonly names: InstanceNames;
  readonly hasDummyInterface: boolean;
  /** For families that have tables on this node. */
  readonly tables: ReadonlyMap<Family, TableState>;
  readonly settings: readonly WrongSetting[];
}

const tableStep = (key: string, state: TableState): PlanStep =>
  state === 'missing'
    ? { op: 'add', kind: 'table', key }
    : {
        op: 'change',
        kind: 'table',
        key,
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
export const nodePlanGroups = ({
  names,
  hasDummyInterface,
  tables,
  settings,
}: NodeState): readonly PlanGroup[] => {
  const steps: readonly PlanStep[] = [
    ...settings.map(settingStep),
    ...(hasDummyInterface
      ? []
      : [{ op: 'add', kind: 'link', key: names.dummyInterface, wanted: { kind: 'dummy' } } as const]),
    ...[...tables]
      .filter(([, state]) => state !== 'as wanted')
      .map(([family, state]) => tableStep(`${family} ${names.table}`, state)),
  ];
  return steps.length === 0 ? [] : [{ name: 'the node', steps }];
};
