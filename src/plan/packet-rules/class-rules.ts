import type { Family } from '../../base/ip.js';
import type { Rule } from '../../nftables/declarations.js';
import {
  classDescriptions,
  nodePortAddressSet,
  nodePortClasses,
  nodePortClassSet,
  packetClasses,
  type PacketClass,
} from './packet-sets.js';
import { rule } from './rule-builders.js';
import {
  goTo,
  inSet,
  loadAddress,
  loadDestinationKey,
  loadDestinationPort,
  loadProtocol,
} from './rule-expressions.js';

export interface ClassRuleSettings {
  readonly family: Family;
  readonly hasNodePortMarks?: boolean;
}

/** A class without a chain has no rule. */
type ClassChains = Readonly<Record<PacketClass, string | undefined>>;

/** From a node port on one of the addresses to the chain of its class. */
const nodePortRules = (family: Family, chains: ClassChains): readonly Rule[] =>
  nodePortClasses.flatMap((name) => {
    const target = chains[name];
    return target === undefined
      ? []
      : [
          rule(
            `node port: ${classDescriptions[name]}`,
            loadAddress(family, 'destination', 0),
            inSet(nodePortAddressSet),
            loadProtocol(0),
            loadDestinationPort(1),
            inSet(nodePortClassSet(name)),
            goTo(target),
          ),
        ];
  });

/**
 * From each class to its chain. A virtual server that drains after its node port became shared has the last class, so
 * shared node ports come before it.
 */
export const classRules = (
  { family, hasNodePortMarks = false }: ClassRuleSettings,
  chains: ClassChains,
): readonly Rule[] =>
  packetClasses.flatMap((name) => {
    const target = chains[name];
    return [
      ...(hasNodePortMarks && name === 'no-endpoints' ? nodePortRules(family, chains) : []),
      ...(target === undefined
        ? []
        : [rule(classDescriptions[name], loadDestinationKey(family), inSet(name), goTo(target))]),
    ];
  });
