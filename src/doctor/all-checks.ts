import type { Check } from './check.js';
import { addressChecks } from './checks/addresses.js';
import { conflictChecks } from './checks/conflicts.js';
import { conntrackChecks } from './checks/conntrack.js';
import { ipvsChecks } from './checks/ipvs.js';
import { ipvsConfigurationChecks } from './checks/ipvs-configuration.js';
import { kernelChecks } from './checks/kernel.js';
import { kubernetesChecks } from './checks/kubernetes.js';
import { packetRuleChecks } from './checks/packet-rules.js';
import { processChecks } from './checks/process.js';
import { settingsChecks } from './checks/settings.js';
import type { Facts } from './facts.js';
import type { CheckResult } from './check-result.js';

/** All checks, in the order of the report. */
export const checks: readonly Check[] = [
  ...kernelChecks,
  ...ipvsChecks,
  ...ipvsConfigurationChecks,
  ...settingsChecks,
  ...conntrackChecks,
  ...packetRuleChecks,
  ...addressChecks,
  ...conflictChecks,
  ...kubernetesChecks,
  ...processChecks,
];

export interface CheckReport extends Omit<Check, 'run'>, CheckResult {}

/** The results of these checks, in their order. */
export const evaluateChecks = (facts: Facts, selected: readonly Check[] = checks): readonly CheckReport[] =>
  selected.map(({ run, ...check }) => ({ ...check, ...run(facts) }));
