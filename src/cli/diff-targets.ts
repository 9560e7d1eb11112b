import { InputError } from '../base/errors.js';
import type { IpAddress } from '../base/ip.js';
import type { PlanGroup, PlanStep } from '../plan/plan-text.js';
import { virtualServerOf } from '../plan/packet-elements.js';
import { elementOfKey, identityOfKey } from '../plan/wanted-answer.js';
import type { NamesBook } from './names-book.js';
import { nearestTarget, targetWords } from './nearest-target.js';
import { matcherOf, parseTarget, type Target } from './target.js';

/** What of a comparison somebody asks for. */
export interface Choice {
  groups(groups: readonly PlanGroup[]): readonly PlanGroup[];
  /** Whether the virtual server is meant. */
  has(key: string): boolean;
}

const addressOf = (key: string): IpAddress | undefined => identityOfKey(key)?.address;

/** Which virtual servers somebody asks for, and the addresses that they are on. */
interface Chosen {
  readonly matches: (key: string) => boolean;
  readonly addresses: ReadonlySet<string>;
}

const chosenBy = (target: Target, names: NamesBook): Chosen => {
  const matcher = matcherOf(target, names);
  const matches = (key: string): boolean => matcher(identityOfKey(key), key);
  if (target.by === 'address') return { matches, addresses: new Set([target.address]) };
  const keys = [...names.keys()].filter(matches);
  if (keys.length > 0) return { matches, addresses: new Set(keys.flatMap((key) => addressOf(key) ?? [])) };
  const meant = nearestTarget(target, { names, virtualServers: names.keys() });
  const hint = meant === undefined ? 'kube-ipvs dump shows what is served' : `did you mean ${meant}?`;
  throw new InputError(`there is no ${targetWords(target)} among what is wanted here; ${hint}`);
};

const isChosen = (step: PlanStep, { matches, addresses }: Chosen): boolean => {
  if (step.kind === 'virtual-server') return matches(step.key);
  if (step.kind === 'real-server') return matches(step.virtualServer ?? '');
  if (step.kind === 'address') return addresses.has(step.key.split('/', 1)[0] ?? '');
  if (step.kind !== 'element') return false;
  const element = elementOfKey(step.key);
  const of = virtualServerOf(element);
  return of === undefined ? addresses.has(String(element.fields[0])) : matches(of);
};

/** What is about one of the targets; where there are none about the namespace, else everything. InputError for one that is none. */
export const choiceOf = (
  targets: readonly string[],
  namespace: string | undefined,
  names: NamesBook,
): Choice => {
  const asked: readonly Target[] =
    targets.length === 0 && namespace !== undefined
      ? [{ by: 'namespace', namespace }]
      : targets.map((text) => parseTarget(text, namespace));
  if (asked.length === 0) return { groups: (groups) => groups, has: () => true };
  const all = asked.map((target) => chosenBy(target, names));
  return {
    groups: (groups) =>
      groups
        .map(({ name, steps }) => ({
          name,
          steps: steps.filter((step) => all.some((chosen) => isChosen(step, chosen))),
        }))
        .filter(({ steps }) => steps.length > 0),
    has: (key) => all.some(({ matches }) => matches(key)),
  };
};
