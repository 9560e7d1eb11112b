import type { IpAddress } from '../../base/ip.js';
import {
  operationKey,
  type AddressOperation,
  type ElementOperation,
  type IpvsOperation,
  type Operation,
} from '../../model/operation.js';
import { setNameOfKey, type ElementKey } from '../../nftables/declarations.js';
import type { ServiceKey } from '../../model/service.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';

/** Operations that may go to the kernel in any order among themselves; the next phase begins when all have their outcome. */
export type Phase =
  | { readonly name: string; readonly ipvs: readonly IpvsOperation[] }
  | { readonly name: string; readonly addresses: readonly AddressOperation[] }
  | { readonly name: string; readonly elements: readonly ElementOperation[] };

/** Which things come before all others. */
export interface Urgency {
  virtualServer(key: VirtualServerKey): boolean;
  address(address: IpAddress): boolean;
  element(key: ElementKey): boolean;
}

/** The API server, and the names that cluster DNS has in kubeadm, k3s, kops, GKE, EKS, AKS (kube-dns) and elsewhere. */
const urgentServices: ReadonlySet<string> = new Set([
  'default/kubernetes',
  'kube-system/kube-dns',
  'kube-system/coredns',
  'kube-system/core-dns',
  'kube-system/rke2-coredns-rke2-coredns',
  'openshift-dns/dns-default',
]);

/** Whether everything else in a cluster needs this Service first: the API server or cluster DNS. */
export const isUrgentService = (key: ServiceKey | undefined): boolean =>
  key !== undefined && urgentServices.has(key);

type PhaseStep =
  | 'packet rules'
  | 'delete virtual servers'
  | 'unbind addresses'
  | 'virtual servers'
  | 'real servers'
  | 'bind addresses'
  | 'protect addresses'
  | 'remove real servers'
  | 'remove packet rules';

/**
 * Packet rules come before the virtual servers that they serve, and go after them: they are also what tells the next process,
 * should we die in between, that a virtual server is ours. Then removals that nothing else depends on make room. What is added
 * comes from the inside out, so that an address never answers before its real servers are there, and nobody else's rules (as
 * those of another proxy that we follow) are kept off it before; and a real server leaves after its successors have come.
 */
const steps: readonly PhaseStep[] = [
  'packet rules',
  'delete virtual servers',
  'unbind addresses',
  'virtual servers',
  'real servers',
  'bind addresses',
  'protect addresses',
  'remove real servers',
  'remove packet rules',
];

/** Whether an element keeps others off a VIP: of use once the VIP is there, and not before. */
export const isVipProtection = (key: ElementKey): boolean => setNameOfKey(key) === 'vips';

const stepOf = (operation: Operation): PhaseStep => {
  switch (operation.kind) {
    case 'add-element':
      return isVipProtection(operation.element.key) ? 'protect addresses' : 'packet rules';
    case 'delete-element':
      return 'remove packet rules';
    case 'delete-virtual-server':
      return 'delete virtual servers';
    case 'unbind-address':
      return 'unbind addresses';
    case 'add-virtual-server':
    case 'update-virtual-server':
      return 'virtual servers';
    case 'add-real-server':
      return 'real servers';
    case 'update-real-server':
      return operation.server.weight === 0 ? 'remove real servers' : 'real servers';
    case 'delete-real-server':
      return 'remove real servers';
    case 'bind-address':
      return 'bind addresses';
  }
};

const isUrgent = (operation: Operation, urgency: Urgency): boolean => {
  if ('element' in operation) return urgency.element(operation.element.key);
  return 'address' in operation
    ? urgency.address(operation.address)
    : urgency.virtualServer(operationKey(operation));
};

/** A step is about one kind of thing. */
const toPhase = (step: PhaseStep, name: string, operations: readonly Operation[]): Phase => {
  if (step === 'packet rules' || step === 'protect addresses' || step === 'remove packet rules')
    return { name, elements: operations as readonly ElementOperation[] };
  if (step === 'bind addresses' || step === 'unbind addresses')
    return { name, addresses: operations as readonly AddressOperation[] };
  return { name, ipvs: operations as readonly IpvsOperation[] };
};

const phasesInSteps = (operations: readonly Operation[], prefix: string): readonly Phase[] => {
  const byStep = new Map<PhaseStep, Operation[]>(steps.map((step) => [step, []]));
  for (const operation of operations) byStep.get(stepOf(operation))?.push(operation);
  return [...byStep]
    .filter(([, ofStep]) => ofStep.length > 0)
    .map(([step, ofStep]) => toPhase(step, `${prefix}${step}`, ofStep));
};

/** Orders operations: all phases of what is urgent (the API server, cluster DNS), if anything is, then those of the rest. Empty phases are left out. */
export const phases = (operations: readonly Operation[], urgency?: Urgency): readonly Phase[] => {
  if (urgency === undefined) return phasesInSteps(operations, '');
  const urgent: Operation[] = [];
  const others: Operation[] = [];
  for (const operation of operations) (isUrgent(operation, urgency) ? urgent : others).push(operation);
  return [...phasesInSteps(urgent, 'urgent: '), ...phasesInSteps(others, '')];
};

export const phaseOperations = (phase: Phase): readonly Operation[] => {
  if ('ipvs' in phase) return phase.ipvs;
  return 'addresses' in phase ? phase.addresses : phase.elements;
};
