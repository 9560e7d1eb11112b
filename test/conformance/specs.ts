import {
  balancerSpecs,
  conntrackSpecs,
  dualStackSpecs,
  networkingSpecs,
  trafficDistributionSpecs,
} from './networking.js';
import type { Spec } from './place.js';
import { affinitySpecs, policySpecs } from './policies.js';
import { serviceSpecs } from './services.js';

/** Every spec of upstream's that has a check here, in the order of docs/conformance.md. */
export const specs: readonly Spec[] = [
  ...serviceSpecs,
  ...affinitySpecs,
  ...policySpecs,
  ...conntrackSpecs,
  ...balancerSpecs,
  ...networkingSpecs,
  ...trafficDistributionSpecs,
  ...dualStackSpecs,
];

/** The name of a spec's check, as docs/conformance.md has it. */
export const checkName = ({ name }: Spec): string => `as [sig-network] ${name}`;
