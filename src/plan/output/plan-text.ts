import type { IpAddress } from '../../base/ip.js';
import { printable } from '../../base/text.js';
import { operationKey, type IpvsOperation, type Operation } from '../../model/operation.js';
import {
  formatEntry,
  planEntry,
  type ObservedVirtualServers,
  type PlanEntry,
} from '../../model/plan-entry.js';
import type { RealServerKey, VirtualServerEntry, VirtualServerKey } from '../../model/virtual-server.js';
import { phaseOperations, type Phase } from '../operations/phases.js';
import { virtualServerOf } from '../packet-rules/packet-elements.js';

/** The Services that own objects. */
export interface ServiceOwners {
  /** The Service of a virtual server. */
  ownerOf(key: VirtualServerKey): string | undefined;
  /** The virtual servers that need the address. */
  virtualServersAt(address: IpAddress): Iterable<VirtualServerKey>;
  /** The desired virtual server; where it is not known, a real server that gets weight 0 counts as draining. */
  virtualServer?(key: VirtualServerKey): Pick<VirtualServerEntry, 'realServers'> | undefined;
  /** Why the real server does not have its full weight: `climbing 40%`. */
  paceAt?(of: VirtualServerKey, realServer: RealServerKey): string | undefined;
}

/** What a step is about, for selecting steps by target. */
export interface PlanSubject {
  readonly virtualServer?: VirtualServerKey;
  readonly address?: IpAddress;
}

/** A step of a plan. */
export interface PlanStep extends PlanEntry {
  /** The Service that needs it, or why it is taken; absent where unknown. */
  readonly reason?: string;
  /** Absent for steps that concern the whole node. */
  readonly subject?: PlanSubject;
}

/** Steps of one phase. */
export interface PlanGroup {
  /** For example `virtual servers`, `urgent: packet rules`. */
  readonly name: string;
  readonly steps: readonly PlanStep[];
}

const notRequested = 'no Service requests it';

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

/** Why the operation does not set the full weight. */
const realServerState = (operation: IpvsOperation, owners: ServiceOwners): string | undefined => {
  if (operation.kind !== 'add-real-server' && operation.kind !== 'update-real-server') return undefined;
  const key = operationKey(operation);
  const { server } = operation;
  const isDraining =
    operation.kind === 'update-real-server' &&
    server.weight === 0 &&
    owners.virtualServer?.(key)?.realServers.has(server.key) !== true;
  return owners.paceAt?.(key, server.key) ?? (isDraining ? 'draining' : undefined);
};

/** The Service that needs the operation, or that none requests the object; undefined where unknown. */
export const operationReason = (operation: Operation, owners: ServiceOwners): string | undefined => {
  if (operation.kind === 'bind-address') return addressOwners(operation.address, owners);
  if (operation.kind === 'unbind-address') return notRequested;
  if ('element' in operation) return elementOwner(operation, owners);
  const key = operationKey(operation);
  const state = realServerState(operation, owners);
  const owner = owners.ownerOf(key) ?? notRequested;
  return state === undefined ? owner : `${owner}: ${state}`;
};

const subjectOf = (operation: Operation): PlanSubject => {
  if ('address' in operation) return { address: operation.address };
  if (!('element' in operation)) return { virtualServer: operationKey(operation) };
  const virtualServer = virtualServerOf(operation.element);
  if (virtualServer !== undefined) return { virtualServer };
  const [field] = operation.element.fields;
  // The only other fields are addresses, and numbers of health check ports.
  return typeof field === 'string' ? { address: field as IpAddress } : {};
};

/** Made at the first comparison: it loads much data, and the daemon rarely prints a plan. */
let collator: Intl.Collator | undefined;
const compare = (a: string, b: string): number =>
  (collator ??= new Intl.Collator('en', { numeric: true })).compare(a, b);

const byKey = (a: PlanEntry, b: PlanEntry): number =>
  compare(a.virtualServer ?? a.key, b.virtualServer ?? b.key) || compare(a.key, b.key);

/** The steps of ordered operations, sorted within each phase. `found`: the current state, for the changed fields. */
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
        return {
          ...planEntry(operation, found),
          ...(reason === undefined ? {} : { reason }),
          subject: subjectOf(operation),
        };
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
    ? 'nothing to add, change or remove'
    : `${add} to add, ${change} to change, ${remove} to remove`;

/** Styles of steps and remarks; they do not change the width of texts. */
export interface PlanStyle {
  readonly step: (op: PlanEntry['op'], line: string) => string;
  readonly remark: (text: string) => string;
}

const plain: PlanStyle = { step: (_, line) => line, remark: (text) => text };

export const stepsOf = (groups: readonly PlanGroup[]): readonly PlanStep[] =>
  groups.flatMap(({ steps }) => steps);

/** Reasons are aligned behind lines of at most this length. */
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
 * A plan as text: a line for each step, in the order of execution, with a remark after `#`; the last line counts the steps.
 */
export const planText = (groups: readonly PlanGroup[], paint: PlanStyle = plain): string =>
  `${groups.map((group) => groupText(group, paint)).join('')}${summaryText(planSummary(stepsOf(groups)))}\n`;
