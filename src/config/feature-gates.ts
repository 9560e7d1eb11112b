import { nearest } from './nearest.js';
import type { Problem } from './kube-proxy-configuration.js';

/** Gates that kube-proxy 1.36 knows and that matter to it (kube-proxy-ipvs §1.9), with their default. */
const gates: Readonly<Record<string, { readonly default: boolean; readonly locked?: true }>> = {
  AllAlpha: { default: false },
  AllBeta: { default: false },
  AllowServiceExternalIPs: { default: true },
  ComponentFlagz: { default: true },
  ComponentStatusz: { default: true },
  ContextualLogging: { default: true },
  LoggingAlphaOptions: { default: false },
  LoggingBetaOptions: { default: true },
  MultiCIDRServiceAllocator: { default: true, locked: true },
  NativeHistograms: { default: false },
  PreferSameTrafficDistribution: { default: true, locked: true },
};

/** Whether a gate is on, by its own value or its default; an unknown one is off. */
export const gateEnabled = (configured: Readonly<Record<string, boolean>>, gate: string): boolean =>
  configured[gate] ?? gates[gate]?.default ?? false;

/** A gate that can't be changed and is. */
export const lockedGateProblems = (configured: Readonly<Record<string, boolean>>): readonly Problem[] =>
  Object.entries(configured)
    .filter(([gate, value]) => gates[gate]?.locked === true && value !== gates[gate].default)
    .map(([gate]) => ({
      path: ['featureGates', gate],
      must: `must be ${gates[gate]?.default}, to which this feature is locked`,
      remedy: 'Leave it out',
    }));

/** One sentence for each gate that kube-proxy does not have: it may belong to a newer version, so it is no error. */
export const unknownGateWarnings = (configured: Readonly<Record<string, boolean>>): readonly string[] =>
  Object.keys(configured)
    .filter((gate) => !(gate in gates))
    .map((gate) => {
      const meant = nearest(gate, Object.keys(gates));
      return `feature gate ${gate} is unknown and ignored${meant === undefined ? '' : `; did you mean ${meant}?`}`;
    });
