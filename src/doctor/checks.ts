import type { Check } from './check.js';
import { addressChecks } from './checks/addresses.js';
import { conflictChecks } from './checks/conflicts.js';
import { conntrackChecks } from './checks/conntrack.js';
import { ipvsChecks } from './checks/ipvs.js';
import { kernelChecks } from './checks/kernel.js';
import { kubernetesChecks } from './checks/kubernetes.js';
import { packetRuleChecks } from './checks/packet-rules.js';
import { processChecks } from './checks/process.js';
import { settingsChecks } from './checks/settings.js';
import type { Facts } from './facts.js';
import type { Finding } from './finding.js';

/** All of them, in the order of the report. */
export const checks: readonly Check[] = [
  ...kernelChecks,
  ...ipvsChecks,
  ...settingsChecks,
  ...conntrackChecks,
  ...packetRuleChecks,
  ...addressChecks,
  ...conflictChecks,
  ...kubernetesChecks,
  ...processChecks,
];

export interface Outcome extends Omit<Check, 'look'>, Finding {}

/** What these checks come to, in their order. */
export const examine = (facts: Facts, chosen: readonly Check[] = checks): readonly Outcome[] =>
  chosen.map(({ look, ...check }) => ({ ...check, ...look(facts) }));
