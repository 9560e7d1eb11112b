import { release } from 'node:os';
import {
  ipvsUnavailable,
  PrerequisiteError,
  requireScheduler,
  type SchedulerProbe,
} from '../apply/prerequisites.js';
import { messageOf } from '../base/errors.js';
import type { Family } from '../base/ip.js';
import type { Logger } from '../base/log.js';
import type { Settings } from '../config/settings.js';
import { IpvsClient } from '../kernel/ipvs/client.js';
import { ConntrackClient } from '../kernel/conntrack/client.js';
import { servedFamilies } from '../kernel/ip-families.js';
import { NftablesClient } from '../kernel/nftables/client.js';
import { RouteClient } from '../kernel/rtnetlink/client.js';
import { machineCpus } from '../kernel/cpus.js';
import { readKernelNumber, writeKernelNumber, type KernelNumber } from '../kernel/sysctl.js';
import { Connection } from '../netlink/connection.js';
import type { ProtocolName } from '../netlink/constants.js';
import { NetlinkError } from '../netlink/errors.js';
import {
  absenceText,
  planKernelSettings,
  refusalText,
  wholeSeconds,
  type KernelFacts,
  type KernelSettingsPlan,
} from './kernel-settings.js';

export interface KernelClients {
  readonly ipvs: IpvsClient;
  readonly route: RouteClient;
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
  const route = RouteClient.open(connect('route'));
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
  for (const warning of warnings) log.warn({ warning }, 'kernel settings');
  const missing: string[] = [];
  const miss = (isNeeded: boolean, problem: string): void => {
    if (isNeeded) missing.push(problem);
    else log.warn({ problem }, 'a kernel setting is left as it is');
  };
  for (const setting of absent) miss(setting.needed === true, absenceText(setting));
  const refused = new Set<KernelNumber>();
  for (const change of changes) {
    const { setting, value, before, after } = change;
    if (after !== undefined && refused.has(after)) continue;
    const reason = writeKernelNumber(setting, value);
    if (reason === undefined) {
      log.info({ sysctl: setting.name, before, now: value }, 'set a kernel setting');
      continue;
    }
    refused.add(setting);
    miss(change.needed === true, refusalText(change, reason));
  }
  if (missing.length > 0) throw new PrerequisiteError(missing.join('\n'));
};

const setIpvsTimeouts = async (
  ipvs: Pick<IpvsClient, 'setTimeouts'>,
  settings: Settings,
  log: Logger,
): Promise<void> => {
  const { tcpTimeout, tcpFinTimeout, udpTimeout } = settings;
  if (tcpTimeout === 0 && tcpFinTimeout === 0 && udpTimeout === 0) return;
  const timeouts = {
    tcpSeconds: wholeSeconds(tcpTimeout),
    tcpFinSeconds: wholeSeconds(tcpFinTimeout),
    udpSeconds: wholeSeconds(udpTimeout),
  };
  try {
    await ipvs.setTimeouts(timeouts);
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    log.warn({ timeouts, error: messageOf(error) }, 'the kernel keeps its own IPVS timeouts');
  }
};

/** This machine. */
export const kernelFacts = (): KernelFacts => ({
  release: release(),
  cpus: machineCpus(),
  read: readKernelNumber,
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

const kernelFields = [
  'scheduler',
  'strictArp',
  'conntrack',
  'tcpTimeout',
  'tcpFinTimeout',
  'udpTimeout',
] as const;

/** prepareKernel, where the settings to come ask anything of the kernel that those before did not. */
export const prepareKernelAgain = async (
  kernel: Pick<KernelAccess, 'ipvs'>,
  { next, before }: { readonly next: Settings; readonly before: Settings },
  log: Logger,
): Promise<void> => {
  if (kernelFields.some((field) => JSON.stringify(next[field]) !== JSON.stringify(before[field])))
    await prepareKernel(kernel, next, log);
};
