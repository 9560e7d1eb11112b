import { nearest } from './nearest.js';
import type { ConfigurationProblem } from './kube-proxy-configuration.js';

interface FeatureGate {
  readonly default: boolean;
  /** As in the metrics of Kubernetes; '' once the feature is generally available. */
  readonly stage: 'ALPHA' | 'BETA' | '';
  readonly locked?: true;
  /** kube-ipvs does not use it. */
  readonly inert?: true;
}

/** The feature gates of kube-proxy 1.36 (kube-proxy-ipvs §1.9), with their defaults. */
const gates: Readonly<Record<string, FeatureGate>> = {
  AllAlpha: { default: false, stage: 'ALPHA' },
  AllBeta: { default: false, stage: 'BETA' },
  AllowServiceExternalIPs: { default: true, stage: '' },
  ComponentFlagz: { default: true, stage: 'BETA' },
  ComponentStatusz: { default: true, stage: 'BETA' },
  ContextualLogging: { default: true, stage: 'BETA', inert: true },
  LoggingAlphaOptions: { default: false, stage: 'ALPHA' },
  LoggingBetaOptions: { default: true, stage: 'BETA' },
  MultiCIDRServiceAllocator: { default: true, stage: '', locked: true },
  NativeHistograms: { default: false, stage: 'ALPHA', inert: true },
  PreferSameTrafficDistribution: { default: true, stage: '', locked: true },
};

/** The value that AllAlpha or AllBeta set for a gate. */
const byStage = (
  configured: Readonly<Record<string, boolean>>,
  stage: FeatureGate['stage'] | undefined,
): boolean | undefined => {
  if (stage === 'ALPHA') return configured['AllAlpha'];
  return stage === 'BETA' ? configured['AllBeta'] : undefined;
};

/** Whether a gate is on: by its own value, that of its stage, or its default. An unknown gate is off. */
export const gateEnabled = (configured: Readonly<Record<string, boolean>>, gate: string): boolean =>
  configured[gate] ?? byStage(configured, gates[gate]?.stage) ?? gates[gate]?.default ?? false;

/** All known gates, and whether they are on. */
export const featureGateStates = (
  configured: Readonly<Record<string, boolean>>,
): readonly { readonly name: string; readonly stage: string; readonly enabled: boolean }[] =>
  Object.entries(gates).map(([name, { stage }]) => ({ name, stage, enabled: gateEnabled(configured, name) }));

/** The problems of locked gates that are changed. */
export const lockedGateProblems = (
  configured: Readonly<Record<string, boolean>>,
): readonly ConfigurationProblem[] =>
  Object.entries(configured)
    .filter(([gate, value]) => gates[gate]?.locked === true && value !== gates[gate].default)
    .map(([gate]) => ({
      path: ['featureGates', gate],
      must: `must be ${gates[gate]?.default}, to which this feature is locked`,
      remedy: 'Omit it.',
    }));

/** A warning for each gate without an effect. An unknown gate may belong to a newer version, and is no error. */
export const gateWarnings = (configured: Readonly<Record<string, boolean>>): readonly string[] =>
  Object.entries(configured).flatMap(([gate, value]) => {
    const known = gates[gate];
    if (known === undefined) {
      const meant = nearest(gate, Object.keys(gates));
      const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
      return [`feature gate ${gate} is unknown and ignored${hint}`];
    }
    return known.inert === true && value !== known.default
      ? [`feature gate ${gate} has no effect: nothing in kube-ipvs depends on it`]
      : [];
  });
