import { release } from 'node:os';
import {
  ipvsUnavailable,
  PrerequisiteError,
  requireScheduler,
  type SchedulerProbe,
} from '../../apply/prerequisites.js';
import { messageOf } from '../../base/errors.js';
import type { Family } from '../../base/ip.js';
import type { Logger } from '../../base/log.js';
import type { Settings } from '../../config/settings.js';
import { IpvsClient } from '../../kernel/ipvs/client.js';
import { ConntrackClient } from '../../kernel/conntrack/client.js';
import { servedFamilies } from '../../kernel/ip-families.js';
import { NftablesClient } from '../../kernel/nftables/client.js';
import { RtnetlinkClient } from '../../kernel/rtnetlink/client.js';
import { machineCpus } from '../../kernel/cpus.js';
import { readKernelParameter, writeKernelParameter, type KernelParameter } from '../../kernel/sysctl.js';
import { Connection } from '../../netlink/connection.js';
import type { ProtocolName } from '../../netlink/constants.js';
import { NetlinkError } from '../../netlink/errors.js';
import {
  absenceText,
  planKernelSettings,
  refusalText,
  toWholeSeconds,
  type KernelFacts,
  type KernelSettingsPlan,
} from './kernel-settings.js';

export interface KernelClients {
  readonly ipvs: IpvsClient;
  readonly route: RtnetlinkClient;
  readonly nftables: NftablesClient;
  readonly conntrack: ConntrackClient;
  /** Those for which this kernel has nftables. */
  readonly packetFamilies: readonly Family[];
}

export type KernelAccess = KernelClients & Disposable;

/** How the clients get their connections. */
export type Connect = (protocol: ProtocolName) => Connection;

const openIpvs = (connect: Connect): IpvsClient => {
  try {
    return IpvsClient.open(connect('generic'));
  } catch (error) {
    throw error instanceof NetlinkError ? ipvsUnavailable(error.errno, error) : error;
  }
};

/** Opens the sockets the daemon works with. Throws PrerequisiteError where the kernel has no IPVS or refuses it to us. */
export const openKernel = async (
  connect: Connect = (protocol) => Connection.open(protocol),
): Promise<KernelAccess> => {
  const ipvs = openIpvs(connect);
  const route = RtnetlinkClient.open(connect('route'));
  const nftables = NftablesClient.open(connect('netfilter'));
  const conntrack = ConntrackClient.open(connect('netfilter'));
  const packetFamilies: Family[] = [];
  for (const family of servedFamilies()) if (await nftables.supports(family)) packetFamilies.push(family);
  return {
    ipvs,
    route,
    nftables,
    conntrack,
    packetFamilies,
    [Symbol.dispose](): void {
      ipvs.close();
      route.close();
      nftables.close();
      conntrack.close();
    },
  };
};

/** Writes what the plan changes, and tells each; throws a PrerequisiteError that names everything needed that was refused. */
const setKernelSettings = ({ changes, absent, warnings }: KernelSettingsPlan, log: Logger): void => {
  for (const warning of warnings)
    log.warn({ event: 'kernel-setting-warning', warning }, 'Kernel setting warning');
  const unmet: string[] = [];
  const reportUnmet = (isRequired: boolean, problem: string): void => {
    if (isRequired) unmet.push(problem);
    else log.warn({ event: 'kernel-setting-not-set', problem }, 'Kernel setting not set');
  };
  for (const setting of absent) reportUnmet(setting.required === true, absenceText(setting));
  const refused = new Set<KernelParameter>();
  for (const change of changes) {
    const { setting, value, previous, dependsOn } = change;
    if (dependsOn !== undefined && refused.has(dependsOn)) continue;
    const reason = writeKernelParameter(setting, value);
    if (reason === undefined) {
      log.info(
        { event: 'kernel-setting-set', sysctl: setting.name, before: previous, now: value },
        'Kernel setting changed',
      );
      continue;
    }
    refused.add(setting);
    reportUnmet(change.required === true, refusalText(change, reason));
  }
  if (unmet.length > 0) throw new PrerequisiteError(unmet.join('\n'));
};

const setIpvsTimeouts = async (
  ipvs: Pick<IpvsClient, 'setTimeouts'>,
  settings: Settings,
  log: Logger,
): Promise<void> => {
  const { tcpTimeout, tcpFinTimeout, udpTimeout } = settings;
  if (tcpTimeout === 0 && tcpFinTimeout === 0 && udpTimeout === 0) return;
  const timeouts = {
    tcpSeconds: toWholeSeconds(tcpTimeout),
    tcpFinSeconds: toWholeSeconds(tcpFinTimeout),
    udpSeconds: toWholeSeconds(udpTimeout),
  };
  try {
    await ipvs.setTimeouts(timeouts);
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    log.warn(
      { event: 'ipvs-timeouts-refused', timeouts, error: messageOf(error) },
      'IPVS timeouts not set; the kernel keeps its own',
    );
  }
};

/** This machine. */
export const kernelFacts = (): KernelFacts => ({
  release: release(),
  cpus: machineCpus(),
  read: readKernelParameter,
});

/**
 * Makes sure the scheduler is there, and sets the kernel settings that are needed or configured and the IPVS timeouts, where
 * they differ. Throws PrerequisiteError for what is needed and can't be had.
 */
export const prepareKernel = async (
  { ipvs }: { readonly ipvs: SchedulerProbe & Pick<IpvsClient, 'setTimeouts'> },
  settings: Settings,
  log: Logger,
): Promise<void> => {
  await requireScheduler(ipvs, settings.scheduler);
  setKernelSettings(planKernelSettings(settings, kernelFacts()), log);
  await setIpvsTimeouts(ipvs, settings, log);
};

const fieldsThatAffectKernel = [
  'scheduler',
  'strictArp',
  'conntrack',
  'tcpTimeout',
  'tcpFinTimeout',
  'udpTimeout',
] as const;

/** prepareKernel, where the settings to come ask anything of the kernel that those before did not. */
export const prepareKernelIfChanged = async (
  kernel: Pick<KernelAccess, 'ipvs'>,
  { next, before }: { readonly next: Settings; readonly before: Settings },
  log: Logger,
): Promise<void> => {
  if (fieldsThatAffectKernel.some((field) => JSON.stringify(next[field]) !== JSON.stringify(before[field])))
    await prepareKernel(kernel, next, log);
};
