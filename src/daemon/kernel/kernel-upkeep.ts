import type { DriftCounters } from '../../apply/counters/drift-counters.js';
import { writeKernelParameter } from '../../kernel/sysctl.js';
import { multicastReceivers } from '../../kernel/multicast-groups.js';
import { ConnectionSync, type SyncDaemonClient } from './connection-sync.js';
import { prepareAfterIpvsReload, type IpvsReloadParts } from './ipvs-reload.js';
import { kernelFacts } from './kernel-access.js';
import { SysctlController, type SysctlControllerParts } from './sysctl-controller.js';

/** Keeps the kernel as the start of the daemon prepared it. */
export interface KernelUpkeep {
  /** Restores or reports kernel settings that another program changed. */
  readonly checkKernelSettings: () => void;
  /** Prepares IPVS again if the kernel loaded its module again. */
  readonly ensureIpvs: () => Promise<void>;
  readonly connectionSync: Pick<ConnectionSync, 'check' | 'checkIfDue' | 'retryDelay'>;
}

export interface KernelUpkeepParts extends IpvsReloadParts {
  readonly ipvs: IpvsReloadParts['ipvs'] & SyncDaemonClient;
  readonly drift: Pick<DriftCounters, 'count'>;
  /** The settings below /proc/sys; those of this machine by default. */
  readonly parameters?: Pick<SysctlControllerParts, 'facts' | 'write'> | undefined;
}

export const kernelUpkeep = (
  parts: KernelUpkeepParts,
): KernelUpkeep & { readonly connectionSync: ConnectionSync } => {
  const { settings, drift, log, parameters } = parts;
  const sysctls = new SysctlController({
    settings: () => settings.now,
    ...(parameters ?? { facts: kernelFacts(), write: writeKernelParameter }),
    drift,
    log,
  });
  const connectionSync = new ConnectionSync({ ...parts, receivers: multicastReceivers });
  const ensureIpvs = prepareAfterIpvsReload({ ...parts, onReloaded: () => connectionSync.invalidate() });
  return { checkKernelSettings: () => sysctls.check(), ensureIpvs, connectionSync };
};
