import { InputError } from '../base/errors.js';
import type { IpAddress } from '../base/ip.js';
import type { PlanGroup, PlanStep } from '../plan/plan-text.js';
import { virtualServerOf } from '../plan/packet-elements.js';
import { elementOfKey, identityOfKey } from '../plan/wanted-answer.js';
import type { NamesBook } from './names-book.js';
import { matcherOf, parseTarget } from './target.js';

type Choose = (groups: readonly PlanGroup[]) => readonly PlanGroup[];

const addressOf = (key: string): IpAddress | undefined => identityOfKey(key)?.address;

/** Which virtual servers somebody asks for, and the addresses that they are on. */
interface Chosen {
  readonly matches: (key: string) => boolean;
  readonly addresses: ReadonlySet<string>;
}

const chosenBy = (text: string, namespace: string | undefined, names: NamesBook): Chosen => {
  const target = parseTarget(text, namespace);
  const matcher = matcherOf(target, names);
  const matches = (key: string): boolean => matcher(identityOfKey(key), key);
  if (target.by === 'address') return { matches, addresses: new Set([target.address]) };
  const keys = [...names.keys()].filter(matches);
  if (keys.length === 0)
    throw new InputError(
      `there is no ${text} among what is wanted here; kube-ipvs dump shows what is served`,
    );
  return { matches, addresses: new Set(keys.flatMap((key) => addressOf(key) ?? [])) };
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

/** Leaves of a plan what is about one of the targets; everything where there are none. InputError for one that is none. */
export const choiceOf = (
  targets: readonly string[],
  namespace: string | undefined,
  names: NamesBook,
): Choose => {
  if (targets.length === 0) return (groups) => groups;
  const all = targets.map((text) => chosenBy(text, namespace, names));
  return (groups) =>
    groups
      .map(({ name, steps }) => ({
        name,
        steps: steps.filter((step) => all.some((chosen) => isChosen(step, chosen))),
      }))
      .filter(({ steps }) => steps.length > 0);
};
