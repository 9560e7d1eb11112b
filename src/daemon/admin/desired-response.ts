import type { KernelFacts } from '../kernel/kernel-settings.js';
import type { PacketRules } from '../../apply/packet-rules/packet-rules.js';
import type { IpAddress } from '../../base/ip.js';
import type { Settings } from '../../config/settings.js';
import type { VipBinding } from '../../model/settings/vip-binding.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import { adminVersion } from '../../admin-api/responses.js';
import type { DesiredResponse } from '../../admin-api/desired-response.js';
import type { DesiredState } from '../../plan/desired-state.js';
import type { DirtyKeys, DesiredView } from '../../plan/operations/diff.js';
import type { OrphanedVirtualServers } from '../../plan/drain/orphaned-virtual-servers.js';
import { formatHostAddress } from '../../plan/output/ipvs-table-formats.js';
import { settingDifferences } from '../kernel/kernel-differences.js';
import type { HttpResponse } from '../serving/http-response.js';
import {
  listItems,
  objectMembers,
  objectChunks,
  streamResponse,
  virtualServerChunks,
  plainMembers,
  type JsonMember,
} from './json-stream.js';

export interface DesiredResponseParts {
  /** The desired state of Services. */
  readonly desired: DesiredState;
  /** The desired state of this node, orphaned virtual servers included. */
  readonly view: DesiredView;
  readonly orphaned: Pick<OrphanedVirtualServers, 'keys'>;
  readonly packetRules: Pick<PacketRules, 'inForce' | 'desiredText'>;
  readonly settings: () => Settings;
  readonly facts: KernelFacts;
}

/** The desired virtual servers. They may change while the response is written: each is looked up when it is written. */
export const desiredKeys = (desired: DesiredState): readonly VirtualServerKey[] =>
  [...desired.virtualServers()].map(({ server }) => server.key);

function* entryMembers(keys: Iterable<VirtualServerKey>, view: DesiredView): Iterable<JsonMember> {
  for (const key of keys) {
    const entry = view.virtualServer(key);
    if (entry !== undefined) yield [key, virtualServerChunks(entry)];
  }
}

const boundBy = (
  binding: VipBinding,
  addresses: ReadonlySet<IpAddress>,
  view: DesiredView,
): readonly string[] =>
  [...addresses].filter((address) => view.bindings(address).includes(binding)).map(formatHostAddress);

const addressesAndElements = (
  { addresses, elements }: DirtyKeys,
  view: DesiredView,
): {
  readonly dummyAddresses: readonly string[];
  readonly localRoutes: readonly string[];
  readonly elements: readonly string[];
} => ({
  dummyAddresses: boundBy('address', addresses, view),
  localRoutes: boundBy('route', addresses, view),
  elements: [...elements].filter((key) => view.element(key) !== undefined),
});

const drainSeconds = (
  keys: Iterable<VirtualServerKey>,
  { view, settings }: DesiredResponseParts,
): DesiredResponse['drainSeconds'] => {
  const byVirtualServer: Record<string, number> = {};
  for (const key of keys) {
    const own = view.virtualServer(key)?.drainMilliseconds;
    if (own !== undefined) byVirtualServer[key] = own / 1_000;
  }
  const { TCP, UDP, SCTP } = settings().drainDeadlines;
  return { byProtocol: { TCP: TCP / 1_000, UDP: UDP / 1_000, SCTP: SCTP / 1_000 }, byVirtualServer };
};

export const desiredResponse = (parts: DesiredResponseParts): HttpResponse => {
  const { desired, view, orphaned, packetRules, settings, facts } = parts;
  const keys = desiredKeys(desired);
  const orphanedKeys = orphaned.keys();
  const { dummyAddresses, localRoutes, elements } = addressesAndElements(desired.keys(), view);
  return streamResponse([
    ['version', adminVersion],
    ['virtualServers', objectChunks(entryMembers(keys, view))],
    ['dummyAddresses', listItems(dummyAddresses)],
    ['localRoutes', listItems(localRoutes)],
    ['elements', listItems(elements)],
    [
      'lingering',
      objectChunks([
        ['virtualServers', objectChunks(entryMembers(orphanedKeys.virtualServers, view))],
        ...plainMembers(addressesAndElements(orphanedKeys, view)),
      ]),
    ],
    ['drainSeconds', [JSON.stringify(drainSeconds([...keys, ...orphanedKeys.virtualServers], parts))]],
    ['excludeCidrs', listItems(settings().excludeCidrs.map(({ text }) => text))],
    [
      'packetTables',
      objectMembers(packetRules.inForce.map((family) => [family, packetRules.desiredText(family)])),
    ],
    ['kernelSettings', listItems(settingDifferences(settings(), facts))],
  ]);
};
