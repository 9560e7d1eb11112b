import type { IpAddress } from '../../src/base/ip.js';
import type { EndpointSlice } from '../../src/model/endpoint.js';
import type { NodeFacts } from '../../src/model/node.js';
import type { Service } from '../../src/model/service.js';
import type { RealServer, VirtualServer, VirtualServerEntry } from '../../src/model/virtual-server.js';
import type { SetElement } from '../../src/nftables/declarations.js';
import { DesiredState } from '../../src/plan/desired-state.js';
import { formatHostAddress, sortedRealServers } from '../../src/plan/output/ipvs-table-formats.js';
import { render } from '../../src/plan/render/render.js';
import { renderContext, type RenderSettings } from '../../src/plan/render/render-context.js';
import { nodeFacts, settings } from './objects.js';

/** What a node is given at once. */
export interface ClusterObjects {
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
}

/** What a kernel holds, as tests compare it. */
export interface KernelText {
  /** The IPVS table, a line a virtual server, sorted: `TCP 10.0.0.1:80 persistent 600 → 10.1.0.1:80, 10.1.0.2:80 weight 0`. */
  readonly lines: readonly string[];
  /** Of kube-ipvs0, sorted. */
  readonly addresses: readonly string[];
  /** The local routes of VIPs, sorted. */
  readonly routes: readonly string[];
}

const describe = ({ server, realServers }: VirtualServerEntry): string => {
  const shown = sortedRealServers({ server, realServers }).map(({ key, weight }) =>
    weight === 1 ? key : `${key} weight ${weight}`,
  );
  const scheduler = server.scheduler === 'rr' ? [] : [server.scheduler];
  const persistence = server.persistence === undefined ? [] : [`persistent ${server.persistence.seconds}`];
  return [
    server.key,
    ...scheduler,
    ...persistence,
    ...server.flags,
    '→',
    shown.length === 0 ? '—' : shown.join(', '),
  ].join(' ');
};

export const tableText = (entries: Iterable<VirtualServerEntry>): readonly string[] =>
  [...entries].map(describe).toSorted();

export const addressText = (addresses: Iterable<IpAddress>): readonly string[] =>
  [...addresses].map(formatHostAddress).toSorted();

export const elementText = (elements: Iterable<SetElement>): readonly string[] =>
  [...elements].map(({ key, chain }) => (chain === undefined ? key : `${key} → ${chain}`)).toSorted();

/** What a node should hold that has these objects and nothing else, from scratch: the oracle for every way that leads there. */
export const desiredState = (
  { services, slices }: ClusterObjects,
  facts: NodeFacts = nodeFacts(),
  renderSettings: RenderSettings = settings(),
): DesiredState => {
  const context = renderContext(facts, renderSettings);
  const desired = new DesiredState(() => renderSettings.vipBinding ?? 'address');
  for (const service of services)
    desired.replace(
      service.key,
      render(
        service,
        slices.filter((slice) => slice.service === service.key),
        context,
      ),
    );
  return desired;
};

export const desiredText = (desired: DesiredState): KernelText => {
  const { address, route } = desired.boundVips();
  return {
    lines: tableText(desired.virtualServers()),
    addresses: addressText(address),
    routes: addressText(route),
  };
};

export const desiredElements = (desired: DesiredState): readonly string[] =>
  elementText([...desired.keys().elements].flatMap((key) => desired.element(key) ?? []));

/** Reasons of what keeps Services from being served as they ask. */
export const problemsOf = (desired: DesiredState): readonly string[] =>
  [...desired.fragments()]
    .flatMap(({ problems }) => problems)
    .concat(desired.clashes())
    .map(({ reason }) => reason);

const virtualLine = ({ key, scheduler, persistence, flags }: VirtualServer): string =>
  [key, scheduler, persistence?.seconds ?? '-', ...flags].join(' ');

const realLine = ({ key }: VirtualServer, real: RealServer): string => `${key} → ${real.key} ${real.weight}`;

/** A line for each virtual server, each real server and each element: what `KernelLines` reads of a kernel. */
export const virtualServerLines = ({ server, realServers }: VirtualServerEntry): readonly string[] => [
  virtualLine(server),
  ...[...realServers.values()].map((real) => realLine(server, real)),
];

export const elementLine = ({ set, fields, chain }: Pick<SetElement, 'set' | 'fields' | 'chain'>): string =>
  `${set} ${fields.join(' . ')} ${chain ?? ''}`;

/** All that a kernel should hold, in those lines, sorted. */
export const desiredLines = (desired: DesiredState): readonly string[] =>
  [
    ...desired.keys().addresses,
    ...[...desired.virtualServers()].flatMap(virtualServerLines),
    ...[...desired.keys().elements].flatMap((key) => {
      const element = desired.element(key);
      return element === undefined ? [] : [elementLine(element)];
    }),
  ].toSorted();
