import { sysctlCommand } from '../../base/sysctl-command.js';
import type { ConntrackSettings, Settings } from '../../config/settings.js';
import type { KernelSetting } from './kernel-setting.js';
import { synchronizationSettings, tuningSettings } from './ipvs-settings.js';
import { isAtLeast, parseRelease } from '../../kernel/kernel-version.js';
import { sysctl, type KernelParameter, type KernelParameterValue } from '../../kernel/sysctl.js';

/** The facts of the machine that decide about settings. */
export interface KernelFacts {
  /** As `uname -r` has it. */
  readonly release: string;
  readonly cpus: number;
  readonly read: (setting: KernelParameter) => KernelParameterValue;
}

/** The configuration that decides about settings. */
export type ConfiguredKernelSettings = Pick<Settings, 'strictArp' | 'conntrack'> &
  Partial<Pick<Settings, 'kernelTuning' | 'connectionSync'>>;

export interface KernelSettingChange extends KernelSetting {
  /** `unreadable`, if it cannot be read. */
  readonly previous: number | string;
}

export interface KernelSettingsPlan {
  /** The settings that differ, in the order of writing. */
  readonly changes: readonly KernelSettingChange[];
  /** The desired settings that this kernel does not have. */
  readonly absent: readonly KernelSetting[];
  /** Warnings for the log. */
  readonly warnings: readonly string[];
}

/** Converts milliseconds to the whole seconds that the kernel takes. Less than a second becomes one: 0 has another meaning. */
export const toWholeSeconds = (milliseconds: number): number =>
  milliseconds <= 0 ? 0 : Math.max(1, Math.trunc(milliseconds / 1000));

const requiredSetting = (name: string, why: string): KernelSetting => ({
  setting: sysctl(name),
  value: 1,
  why,
  required: true,
});

/** kube-proxy-ipvs §6.2. */
const alwaysRequired: readonly KernelSetting[] = [
  requiredSetting(
    'net.ipv4.vs.conntrack',
    'without it, connections through IPVS are not tracked, and so not masqueraded',
  ),
  requiredSetting('net.ipv4.vs.expire_nodest_conn', 'without it, connections to a deleted pod hang'),
  requiredSetting(
    'net.ipv4.vs.expire_quiescent_template',
    'without it, session affinity sends clients to a terminating pod',
  ),
  requiredSetting('net.ipv4.ip_forward', 'without it, replies from pods do not reach their clients'),
];

const strictArp = (name: string, value: number): KernelSetting => ({
  setting: sysctl(`net.ipv4.conf.all.${name}`),
  value,
  why: 'strictARP: the node must answer ARP requests for the addresses of the receiving interface only, never for a VIP',
  required: true,
  avoidedBy: 'ipvs.strictARP: false',
});

const connReuseMode: KernelSetting = {
  setting: sysctl('net.ipv4.vs.conn_reuse_mode'),
  value: 0,
  why: 'without it, before Linux 5.9, a connection from a reused port waits a second',
};

/** The setting exists since Linux 4.1; since 5.9 the kernel reuses connections without the delay that 0 avoids. */
const needsConnReuseMode = ({ release, read }: KernelFacts): boolean => {
  const version = parseRelease(release);
  return (
    version !== undefined &&
    isAtLeast(version, 4, 1) &&
    !isAtLeast(version, 5, 9) &&
    read(connReuseMode.setting) !== 'absent'
  );
};

const releaseWarnings = ({ release }: KernelFacts): readonly string[] =>
  parseRelease(release) === undefined
    ? [
        `"${release}" is not a kernel release such as 6.1.0: ${connReuseMode.setting.name} is not changed. Set it to 0 if this is a Linux before 5.9`,
      ]
    : [];

const conntrackMaximum = sysctl('net.netfilter.nf_conntrack_max');
/**
 * The size of the conntrack hash table. The module parameter hashsize is the same number, but only root may read or write
 * it. Any user may read this one, and CAP_NET_ADMIN may write it (in the host's network namespace, since Linux 4.8).
 */
const conntrackBuckets = sysctl('net.netfilter.nf_conntrack_buckets');
const largestScaledMaximum = 1_048_576;

/** kube-proxy-ipvs §6.4: maxPerCore for each CPU, up to about a million, and at least conntrack.min. */
const limits = ({ maxPerCore, min }: ConntrackSettings, cpus: number): readonly KernelSetting[] => {
  if (maxPerCore === 0) return [];
  const scaled = maxPerCore * cpus;
  const value = scaled > largestScaledMaximum ? largestScaledMaximum : Math.max(scaled, min);
  const avoidedBy = 'conntrack.maxPerCore: 0';
  return [
    { setting: conntrackMaximum, value, why: 'the maximum of tracked connections', avoidedBy },
    {
      setting: conntrackBuckets,
      value: Math.trunc(value / 4),
      isMinimum: true,
      why: 'connection tracking is slow with fewer buckets than a quarter of nf_conntrack_max',
      avoidedBy,
      dependsOn: conntrackMaximum,
    },
  ];
};

const timeoutNames = {
  tcpEstablishedTimeout: 'nf_conntrack_tcp_timeout_established',
  tcpCloseWaitTimeout: 'nf_conntrack_tcp_timeout_close_wait',
  udpTimeout: 'nf_conntrack_udp_timeout',
  udpStreamTimeout: 'nf_conntrack_udp_timeout_stream',
} as const;

const timeouts = (conntrack: ConntrackSettings): readonly KernelSetting[] =>
  (['tcpEstablishedTimeout', 'tcpCloseWaitTimeout', 'udpTimeout', 'udpStreamTimeout'] as const)
    .filter((field) => conntrack[field] > 0)
    .map((field) => ({
      setting: sysctl(`net.netfilter.${timeoutNames[field]}`),
      value: toWholeSeconds(conntrack[field]),
      why: `conntrack.${field} requires it`,
      avoidedBy: `conntrack.${field}: 0s`,
    }));

const liberal: KernelSetting = {
  setting: sysctl('net.netfilter.nf_conntrack_tcp_be_liberal'),
  value: 1,
  why: 'conntrack.tcpBeLiberal requires it',
  avoidedBy: 'conntrack.tcpBeLiberal: false',
};

/** Every setting of this configuration for this kernel, whatever its current value is. */
const desiredSettings = (
  { strictArp: isStrict, conntrack, kernelTuning, connectionSync }: ConfiguredKernelSettings,
  facts: KernelFacts,
): readonly KernelSetting[] => [
  ...alwaysRequired,
  ...(needsConnReuseMode(facts) ? [connReuseMode] : []),
  ...(isStrict ? [strictArp('arp_ignore', 1), strictArp('arp_announce', 2)] : []),
  ...limits(conntrack, facts.cpus),
  ...timeouts(conntrack),
  ...(conntrack.tcpBeLiberal ? [liberal] : []),
  ...(kernelTuning === undefined ? [] : tuningSettings(kernelTuning)),
  ...(connectionSync === undefined ? [] : synchronizationSettings(connectionSync)),
];

const differs = (before: KernelParameterValue, { value, isMinimum }: KernelSetting): boolean => {
  if (typeof before === 'object') return before.text !== value;
  return isMinimum && typeof before === 'number' && typeof value === 'number'
    ? before < value
    : before !== value;
};

/** Decides which kernel settings change (kube-proxy-ipvs §6.2, §6.4). Pure except for `facts.read`. */
export const planKernelSettings = (
  settings: ConfiguredKernelSettings,
  facts: KernelFacts,
): KernelSettingsPlan => {
  const changes: KernelSettingChange[] = [];
  const absent: KernelSetting[] = [];
  for (const desired of desiredSettings(settings, facts)) {
    const before = facts.read(desired.setting);
    if (before === 'absent') absent.push(desired);
    else if (differs(before, desired))
      changes.push({ ...desired, previous: typeof before === 'object' ? before.text : before });
  }
  return { changes, absent, warnings: releaseWarnings(facts) };
};

/** Why a write was refused, and what to do. */
export const refusalText = (change: KernelSettingChange, reason: string): string =>
  `cannot set ${change.setting.name} to ${change.value} (it is ${change.previous}): ${reason}; ${change.why}. ` +
  `Set it on the node: ${sysctlCommand(change.setting.name, change.value)}` +
  (change.avoidedBy === undefined ? '' : `, or leave it alone: ${change.avoidedBy}`);

const absenceReason = (name: string): string =>
  name === 'net.ipv4.vs.conntrack'
    ? 'IPVS was built without CONFIG_IP_VS_NFCT; boot a kernel that has it'
    : 'it does not exist in this kernel or network namespace';

/** Why a setting does not exist, and what to do. */
export const absenceText = ({ setting, value, why, avoidedBy, since }: KernelSetting): string =>
  `cannot set ${setting.name} to ${value}: ${since === undefined ? absenceReason(setting.name) : `this kernel does not have it; it needs Linux ${since} or later`}; ${why}` +
  (avoidedBy === undefined ? '' : `. To do without it: ${avoidedBy}`);
