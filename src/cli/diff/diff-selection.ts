import { addressOfServer } from '../../model/virtual-server.js';
import { InputError } from '../../base/errors.js';
import type { IpAddress } from '../../base/ip.js';
import type { PlanGroup, PlanStep } from '../../plan/output/plan-text.js';
import { parseVirtualServerKey } from '../../admin-api/desired-response.js';
import type { ServiceIndex } from '../admin/service-index.js';
import { nearestTarget, describeTarget } from '../target/nearest-target.js';
import { targetMatcher, parseTarget, type Target } from '../target/target.js';

/** The part of a comparison that the user selected. */
export interface DiffSelection {
  filterGroups(groups: readonly PlanGroup[]): readonly PlanGroup[];
  /** Whether the virtual server is selected. */
  includes(key: string): boolean;
}

const addressOf = (key: string): IpAddress | undefined => {
  const identity = parseVirtualServerKey(key);
  return identity && addressOfServer(identity);
};

/** The virtual servers of a target, and their addresses. */
interface TargetSelection {
  readonly matches: (key: string) => boolean;
  readonly addresses: ReadonlySet<string>;
}

const selectTarget = (target: Target, names: ServiceIndex): TargetSelection => {
  const matcher = targetMatcher(target, names);
  const matches = (key: string): boolean => matcher(parseVirtualServerKey(key), key);
  if (target.by === 'address') return { matches, addresses: new Set([target.address]) };
  const keys = [...names.keys()].filter(matches);
  if (keys.length > 0) return { matches, addresses: new Set(keys.flatMap((key) => addressOf(key) ?? [])) };
  const meant = nearestTarget(target, { names, virtualServers: names.keys() });
  const hint = meant === undefined ? 'Run `kube-ipvs dump` to list all.' : `Did you mean ${meant}?`;
  throw new InputError(`${describeTarget(target)} not found in the desired state. ${hint}`);
};

const isSelected = ({ subject }: PlanStep, { matches, addresses }: TargetSelection): boolean => {
  if (subject?.virtualServer !== undefined) return matches(subject.virtualServer);
  return subject?.address !== undefined && addresses.has(subject.address);
};

/** Selects the targets; without targets the namespace, without both everything. InputError for a target that is not found. */
export const selectTargets = (
  targets: readonly string[],
  namespace: string | undefined,
  names: ServiceIndex,
): DiffSelection => {
  const parsedTargets: readonly Target[] =
    targets.length === 0 && namespace !== undefined
      ? [{ by: 'namespace', namespace }]
      : targets.map((text) => parseTarget(text, namespace));
  if (parsedTargets.length === 0) return { filterGroups: (groups) => groups, includes: () => true };
  const selections = parsedTargets.map((target) => selectTarget(target, names));
  return {
    filterGroups: (groups) =>
      groups
        .map(({ name, steps }) => ({
          name,
          steps: steps.filter((step) => selections.some((selection) => isSelected(step, selection))),
        }))
        .filter(({ steps }) => steps.length > 0),
    includes: (key) => selections.some(({ matches }) => matches(key)),
  };
};
