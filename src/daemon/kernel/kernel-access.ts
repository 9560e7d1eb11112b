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
import { procTableFile, type TableFile } from '../../kernel/ipvs/table-file/table-file.js';
import { ConntrackClient } from '../../kernel/conntrack/client.js';
import { servedFamilies } from '../../kernel/ip-families.js';
import { NftablesClient } from '../../kernel/nftables/client.js';
import { RtnetlinkClient } from '../../kernel/rtnetlink/client.js';
import type { InstanceNames } from '../../model/instance-names.js';
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
  readonly tableFile: TableFile;
  readonly route: RtnetlinkClient;
  readonly nftables: NftablesClient;
  readonly conntrack: ConntrackClient;
  /** The families for which this kernel has nftables. */
  readonly packetFamilies: readonly Family[];
}

export type KernelAccess = KernelClients & Disposable;

/** Opens the connections of the clients. */
export type Connect = (protocol: ProtocolName) => Connection;

const openIpvs = (connect: Connect): IpvsClient => {
  try {
    return IpvsClient.open(connect('generic'));
  } catch (error) {
    throw error instanceof NetlinkError ? ipvsUnavailable(error.errno, error) : error;
  }
};

/**
 * Opens the netlink sockets of the daemon. Throws a PrerequisiteError if the kernel has no IPVS or does not permit us to
 * use it.
 */
export const openKernel = async (
  names: InstanceNames,
  connect: Connect = (protocol) => Connection.open(protocol),
): Promise<KernelAccess> => {
  const ipvs = openIpvs(connect);
  const route = RtnetlinkClient.open(names, connect('route'));
  const nftables = NftablesClient.open(connect('netfilter'));
  const conntrack = ConntrackClient.open(connect('netfilter'));
  const packetFamilies: Family[] = [];
  for (const family of servedFamilies()) if (await nftables.supports(family)) packetFamilies.push(family);
  return {
    ipvs,
    tableFile: procTableFile,
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

/** Writes and logs the changes of the plan. Throws a PrerequisiteError that names every required setting that was refused. */
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

/** The facts of this machine. */
export const kernelFacts = (): KernelFacts => ({
  release: release(),
  cpus: machineCpus(),
  read: readKernelParameter,
});

/**
 * Loads the scheduler, and sets the required and configured kernel settings and the IPVS timeouts if they differ. Throws a
 * PrerequisiteError that names what is missing.
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
  'kernelTuning',
  'connectionSync',
] as const;

/** Runs prepareKernel if the new settings change anything in the kernel. */
export const prepareKernelIfChanged = async (
  kernel: Pick<KernelAccess, 'ipvs'>,
  { next, before }: { readonly next: Settings; readonly before: Settings },
  log: Logger,
): Promise<void> => {
  if (fieldsThatAffectKernel.some((field) => JSON.stringify(next[field]) !== JSON.stringify(before[field])))
    await prepareKernel(kernel, next, log);
};
