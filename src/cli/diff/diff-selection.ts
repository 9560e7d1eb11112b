import { InputError } from '../../base/errors.js';
import type { IpAddress } from '../../base/ip.js';
import type { PlanGroup, PlanStep } from '../../plan/output/plan-text.js';
import { virtualServerOf } from '../../plan/packet-rules/packet-elements.js';
import { parseElementKey, parseVirtualServerKey } from '../../admin-api/desired-response.js';
import type { ServiceIndex } from '../admin/service-index.js';
import { nearestTarget, describeTarget } from '../target/nearest-target.js';
import { targetMatcher, parseTarget, type Target } from '../target/target.js';

/** What of a comparison somebody asks for. */
export interface DiffSelection {
  filterGroups(groups: readonly PlanGroup[]): readonly PlanGroup[];
  /** Whether the virtual server is meant. */
  includes(key: string): boolean;
}

const addressOf = (key: string): IpAddress | undefined => parseVirtualServerKey(key)?.address;

/** Which virtual servers somebody asks for, and the addresses that they are on. */
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
  const hint = meant === undefined ? 'kube-ipvs dump shows what is served' : `did you mean ${meant}?`;
  throw new InputError(`there is no ${describeTarget(target)} among what is wanted here; ${hint}`);
};

const isSelected = (step: PlanStep, { matches, addresses }: TargetSelection): boolean => {
  if (step.kind === 'virtual-server') return matches(step.key);
  if (step.kind === 'real-server') return matches(step.virtualServer ?? '');
  if (step.kind === 'address') return addresses.has(step.key.split('/', 1)[0] ?? '');
  if (step.kind !== 'element') return false;
  const element = parseElementKey(step.key);
  const of = virtualServerOf(element);
  return of === undefined ? addresses.has(String(element.fields[0])) : matches(of);
};

/** What is about one of the targets; where there are none about the namespace, else everything. InputError for one that is none. */
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
