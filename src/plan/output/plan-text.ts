import type { IpAddress } from '../../base/ip.js';
import { printable } from '../../base/text.js';
import { operationKey, type Operation } from '../../model/operation.js';
import {
  formatEntry,
  planEntry,
  type ObservedVirtualServers,
  type PlanEntry,
} from '../../model/plan-entry.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';
import { phaseOperations, type Phase } from '../operations/phases.js';
import { virtualServerOf } from '../packet-rules/packet-elements.js';

/** Whose things are. */
export interface ServiceOwners {
  /** The Service that has the virtual server. */
  ownerOf(key: VirtualServerKey): string | undefined;
  /** Virtual servers for whose sake the address is bound. */
  virtualServersAt(address: IpAddress): Iterable<VirtualServerKey>;
}

/** A step, and for whose sake or why it is taken, where that is known. */
export interface PlanStep extends PlanEntry {
  readonly reason?: string;
}

/** Steps of one kind, which are taken together. */
export interface PlanGroup {
  /** As `virtual servers`, `urgent: packet rules`. */
  readonly name: string;
  readonly steps: readonly PlanStep[];
}

const notRequested = 'no Service asks for it';

const addressOwners = (address: IpAddress, owners: ServiceOwners): string | undefined => {
  const names = new Set([...owners.virtualServersAt(address)].flatMap((key) => owners.ownerOf(key) ?? []));
  return names.size === 0 ? undefined : [...names].toSorted().join(', ');
};

const elementOwner = (
  { element }: Extract<Operation, { element: unknown }>,
  owners: ServiceOwners,
): string | undefined => {
  if (element.set === 'vips') return addressOwners(element.fields[0] as IpAddress, owners);
  const key = virtualServerOf(element);
  return key && owners.ownerOf(key);
};

/** The Service for whose sake the operation is done, or that none asks for the thing; undefined where nothing tells. */
export const operationReason = (operation: Operation, owners: ServiceOwners): string | undefined => {
  if (operation.kind === 'bind-address') return addressOwners(operation.address, owners);
  if (operation.kind === 'unbind-address') return notRequested;
  if ('element' in operation) return elementOwner(operation, owners);
  const owner = owners.ownerOf(operationKey(operation)) ?? notRequested;
  const drains = operation.kind === 'update-real-server' && operation.server.weight === 0;
  return drains ? `${owner}: it drains` : owner;
};

const collator = new Intl.Collator('en', { numeric: true });

const byKey = (a: PlanEntry, b: PlanEntry): number =>
  collator.compare(a.virtualServer ?? a.key, b.virtualServer ?? b.key) || collator.compare(a.key, b.key);

/** The steps of ordered operations, sorted where their order does not count. `found` tells what is there now. */
export const planGroups = (
  ordered: readonly Phase[],
  owners: ServiceOwners,
  found?: ObservedVirtualServers,
): readonly PlanGroup[] =>
  ordered.map((phase) => ({
    name: phase.name,
    steps: phaseOperations(phase)
      .map((operation) => {
        const reason = operationReason(operation, owners);
        return { ...planEntry(operation, found), ...(reason === undefined ? {} : { reason }) };
      })
      .toSorted(byKey),
  }));

export interface PlanSummary {
  readonly add: number;
  readonly change: number;
  readonly remove: number;
}

export const planSummary = (steps: readonly PlanEntry[]): PlanSummary => {
  const countOf = (op: PlanEntry['op']): number => steps.filter((step) => step.op === op).length;
  return { add: countOf('add'), change: countOf('change'), remove: countOf('remove') };
};

/** `3 to add, 1 to change, 2 to remove`. */
export const summaryText = ({ add, change, remove }: PlanSummary): string =>
  add + change + remove === 0
    ? 'nothing to add, to change or to remove'
    : `${add} to add, ${change} to change, ${remove} to remove`;

/** How steps and the words beside them look; the widths of texts stay. */
export interface PlanStyle {
  readonly step: (op: PlanEntry['op'], line: string) => string;
  readonly remark: (text: string) => string;
}

const plain: PlanStyle = { step: (_, line) => line, remark: (text) => text };

export const stepsOf = (groups: readonly PlanGroup[]): readonly PlanStep[] =>
  groups.flatMap(({ steps }) => steps);

/** Reasons line up where the lines are not longer than this. */
const maximumAlignedLength = 100;

const groupText = ({ name, steps }: PlanGroup, paint: PlanStyle): string => {
  const lines = steps.map((step) => printable(formatEntry(step)));
  const width = lines.reduce(
    (most, line) => Math.max(most, line.length <= maximumAlignedLength ? line.length : 0),
    0,
  );
  const stepLines = steps.map(({ op, reason }, index) => {
    const line = lines[index] ?? '';
    const space = ' '.repeat(Math.max(0, width - line.length));
    return `${paint.step(op, line)}${reason === undefined ? '' : `${space}  ${paint.remark(printable(`# ${reason}`))}`}\n`;
  });
  return `${paint.remark(`# ${name}`)}\n${stepLines.join('')}\n`;
};

/**
 * A plan for people: a line a step, in groups in the order in which they would be taken, with a remark after `#`, and how many
 * there are in the last line.
 */
export const planText = (groups: readonly PlanGroup[], paint: PlanStyle = plain): string =>
  `${groups.map((group) => groupText(group, paint)).join('')}${summaryText(planSummary(stepsOf(groups)))}\n`;
