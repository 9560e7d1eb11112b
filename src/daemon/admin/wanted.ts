import type { KernelFacts } from '../kernel-settings.js';
import type { PacketRules } from '../../apply/packet-rules.js';
import type { Settings } from '../../config/settings.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import { adminVersion } from '../../plan/admin-answers.js';
import type { WantedAnswer } from '../../plan/wanted-answer.js';
import type { Desired } from '../../plan/desired.js';
import type { Touched, Wanted } from '../../plan/diff.js';
import type { Lingering } from '../../plan/lingering.js';
import { formatHostAddress } from '../../plan/table.js';
import { wrongSettings } from '../compare/node.js';
import type { Answer } from '../serving/answer.js';
import {
  listItems,
  objectMembers,
  objectTexts,
  streamAnswer,
  virtualServerTexts,
  wholeMembers,
  type Member,
} from './stream.js';

export interface WantedParts {
  /** What Services ask for. */
  readonly desired: Desired;
  /** What of it, and of what lingers, this node is to have. */
  readonly wanted: Wanted;
  readonly lingering: Pick<Lingering, 'keys'>;
  readonly packetRules: Pick<PacketRules, 'inForce' | 'wantedText'>;
  readonly settings: () => Settings;
  readonly facts: KernelFacts;
}

/** The virtual servers that are wanted now. What is asked for later may be others by then: each is looked up as it is written. */
export const wantedKeys = (desired: Desired): readonly VirtualServerKey[] =>
  [...desired.virtualServers()].map(({ server }) => server.key);

function* tablesOf(keys: Iterable<VirtualServerKey>, wanted: Wanted): Iterable<Member> {
  for (const key of keys) {
    const table = wanted.virtualServer(key);
    if (table !== undefined) yield [key, virtualServerTexts(table)];
  }
}

const namesOf = (
  { addresses, elements }: Touched,
  wanted: Wanted,
): { readonly dummyAddresses: readonly string[]; readonly elements: readonly string[] } => ({
  dummyAddresses: [...addresses].filter((address) => wanted.wantsAddress(address)).map(formatHostAddress),
  elements: [...elements].filter((key) => wanted.element(key) !== undefined),
});

const drainSeconds = (
  keys: Iterable<VirtualServerKey>,
  { wanted, settings }: WantedParts,
): WantedAnswer['drainSeconds'] => {
  const byVirtualServer: Record<string, number> = {};
  for (const key of keys) {
    const own = wanted.virtualServer(key)?.drainMilliseconds;
    if (own !== undefined) byVirtualServer[key] = own / 1_000;
  }
  const { TCP, UDP, SCTP } = settings().drainDeadlines;
  return { byProtocol: { TCP: TCP / 1_000, UDP: UDP / 1_000, SCTP: SCTP / 1_000 }, byVirtualServer };
};

export const wantedAnswer = (parts: WantedParts): Answer => {
  const { desired, wanted, lingering, packetRules, settings, facts } = parts;
  const keys = wantedKeys(desired);
  const left = lingering.keys();
  const { dummyAddresses, elements } = namesOf(desired.keys(), wanted);
  return streamAnswer([
    ['version', adminVersion],
    ['virtualServers', objectTexts(tablesOf(keys, wanted))],
    ['dummyAddresses', listItems(dummyAddresses)],
    ['elements', listItems(elements)],
    [
      'lingering',
      objectTexts([
        ['virtualServers', objectTexts(tablesOf(left.virtualServers, wanted))],
        ...wholeMembers(namesOf(left, wanted)),
      ]),
    ],
    ['drainSeconds', [JSON.stringify(drainSeconds([...keys, ...left.virtualServers], parts))]],
    ['excludeCidrs', listItems(settings().excludeCidrs.map(({ text }) => text))],
    [
      'packetTables',
      objectMembers(packetRules.inForce.map((family) => [family, packetRules.wantedText(family)])),
    ],
    ['kernelSettings', listItems(wrongSettings(settings(), facts))],
  ]);
};
