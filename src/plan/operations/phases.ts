import type { IpAddress } from '../../base/ip.js';
import {
  operationKey,
  type AddressOperation,
  type ElementOperation,
  type IpvsOperation,
  type Operation,
} from '../../model/operation.js';
import { setNameOfKey, type ElementKey } from '../../nftables/declarations.js';
import { inClusterMap, nodePortMap } from '../packet-rules/packet-sets.js';
import type { ServiceKey } from '../../model/service.js';
import type { VirtualServerKey } from '../../model/virtual-server.js';

/** Operations that the kernel may receive in any order. The next phase starts when all outcomes are known. */
export type Phase =
  | { readonly name: string; readonly ipvs: readonly IpvsOperation[] }
  | { readonly name: string; readonly addresses: readonly AddressOperation[] }
  | { readonly name: string; readonly elements: readonly ElementOperation[] };

/** Selects the objects that are programmed before all others. */
export interface Urgency {
  virtualServer(key: VirtualServerKey): boolean;
  address(address: IpAddress): boolean;
  element(key: ElementKey): boolean;
}

/**
 * The API server, and cluster DNS as named by kubeadm, k3s, kops, GKE, EKS and AKS (kube-dns) and by others.
 */
const urgentServices: ReadonlySet<string> = new Set([
  'default/kubernetes',
  'kube-system/kube-dns',
  'kube-system/coredns',
  'kube-system/core-dns',
  'kube-system/rke2-coredns-rke2-coredns',
  'openshift-dns/dns-default',
]);

/** Whether the rest of the cluster depends on this Service: the API server or cluster DNS. */
export const isUrgentService = (key: ServiceKey | undefined): boolean =>
  key !== undefined && urgentServices.has(key);

type PhaseStep =
  | 'packet rules'
  | 'delete virtual servers'
  | 'unbind addresses'
  | 'virtual servers'
  | 'real servers'
  | 'bind addresses'
  | 'unbind replaced addresses'
  | 'protect addresses'
  | 'remove real servers'
  | 'remove packet rules';

/** The order of the steps within a run. */
const steps: readonly PhaseStep[] = [
  // Includes the ownership markers, so an interrupted sync leaves no unmarked virtual server.
  'packet rules',
  // Nothing else depends on these deletions, and they make room.
  'delete virtual servers',
  'unbind addresses',
  'virtual servers',
  'real servers',
  // An address is bound only after its real servers exist.
  'bind addresses',
  // A VIP is local in its new way before its old one ends.
  'unbind replaced addresses',
  // Rules of another program stay in effect for a VIP until kube-ipvs serves it.
  'protect addresses',
  // A real server is removed only after its successors are added.
  'remove real servers',
  // An ownership marker is deleted only after its virtual server.
  'remove packet rules',
];

/** Whether an element leads requests to a virtual server on a firewall mark. Its real servers come first. */
export const isInCluster = (key: ElementKey): boolean => setNameOfKey(key) === inClusterMap;

/**
 * Whether an element has an effect only after the virtual servers and addresses are there. Those of VIPs protect them
 * from rules of other programs.
 */
export const isLate = (key: ElementKey): boolean =>
  setNameOfKey(key) === 'vips' || isInCluster(key) || setNameOfKey(key) === nodePortMap;

const stepOf = (operation: Operation): PhaseStep => {
  switch (operation.kind) {
    case 'add-element':
      return isLate(operation.element.key) ? 'protect addresses' : 'packet rules';
    case 'delete-element':
      return 'remove packet rules';
    case 'delete-virtual-server':
      return 'delete virtual servers';
    case 'unbind-address':
      return operation.replacedBy === undefined ? 'unbind addresses' : 'unbind replaced addresses';
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

/** All operations of a step have the same kind of object. */
const toPhase = (step: PhaseStep, name: string, operations: readonly Operation[]): Phase => {
  if (step === 'packet rules' || step === 'protect addresses' || step === 'remove packet rules')
    return { name, elements: operations as readonly ElementOperation[] };
  if (step === 'bind addresses' || step === 'unbind addresses' || step === 'unbind replaced addresses')
    return { name, addresses: operations as readonly AddressOperation[] };
  return { name, ipvs: operations as readonly IpvsOperation[] };
};

const phasesInSteps = (operations: readonly Operation[], prefix: string): readonly Phase[] => {
  if (operations.length === 0) return [];
  const byStep = new Map<PhaseStep, Operation[]>();
  for (const operation of operations) {
    const step = stepOf(operation);
    const ofStep = byStep.get(step);
    if (ofStep === undefined) byStep.set(step, [operation]);
    else ofStep.push(operation);
  }
  return steps.flatMap((step) => {
    const ofStep = byStep.get(step);
    return ofStep === undefined ? [] : [toPhase(step, `${prefix}${step}`, ofStep)];
  });
};

/**
 * Orders operations into phases: urgent ones (API server, cluster DNS) first, then all others. Omits empty
 * phases.
 */
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
