import { nearest } from './nearest.js';
import type { Problem } from './kube-proxy-configuration.js';

interface FeatureGate {
  readonly default: boolean;
  /** As Kubernetes writes it in its metrics; '' once it is generally available. */
  readonly stage: 'ALPHA' | 'BETA' | '';
  readonly locked?: true;
}

/** Gates that kube-proxy 1.36 knows and that matter to it (kube-proxy-ipvs §1.9), with their default. */
const gates: Readonly<Record<string, FeatureGate>> = {
  AllAlpha: { default: false, stage: 'ALPHA' },
  AllBeta: { default: false, stage: 'BETA' },
  AllowServiceExternalIPs: { default: true, stage: '' },
  ComponentFlagz: { default: true, stage: 'BETA' },
  ComponentStatusz: { default: true, stage: 'BETA' },
  ContextualLogging: { default: true, stage: 'BETA' },
  LoggingAlphaOptions: { default: false, stage: 'ALPHA' },
  LoggingBetaOptions: { default: true, stage: 'BETA' },
  MultiCIDRServiceAllocator: { default: true, stage: '', locked: true },
  NativeHistograms: { default: false, stage: 'ALPHA' },
  PreferSameTrafficDistribution: { default: true, stage: '', locked: true },
};

/** Whether a gate is on, by its own value or its default; an unknown one is off. */
export const gateEnabled = (configured: Readonly<Record<string, boolean>>, gate: string): boolean =>
  configured[gate] ?? gates[gate]?.default ?? false;

/** All gates that are known, and whether they are on. */
export const featureGateStates = (
  configured: Readonly<Record<string, boolean>>,
): readonly { readonly name: string; readonly stage: string; readonly enabled: boolean }[] =>
  Object.entries(gates).map(([name, { stage }]) => ({ name, stage, enabled: gateEnabled(configured, name) }));

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
