import type { IpAddress } from '../base/ip.js';
import { BaseError } from '../base/errors.js';
import { missingIpvs, missingCapability } from '../kernel/ipvs/remedies.js';
import type { IpvsOperation, Outcome } from '../model/operation.js';
import { virtualServerKey, type VirtualServer, type VirtualServerIdentity } from '../model/virtual-server.js';

/** Something the machine lacks; the message names it and says how to get it. */
export class PrerequisiteError extends BaseError {}

/** Turns the failure to reach IPVS, by errno name, into advice. */
export const ipvsUnavailable = (errno: string, cause: unknown): PrerequisiteError =>
  new PrerequisiteError(
    errno === 'EPERM' || errno === 'EACCES'
      ? `the kernel refuses access to IPVS (${errno}): ${missingCapability}`
      : `this kernel has no IPVS (${errno}): ${missingIpvs}`,
    { cause },
  );

const probeIdentity: VirtualServerIdentity = {
  by: 'address',
  protocol: 'TCP',
  address: '2001:db8::' as IpAddress,
  port: 1,
};

/**
 * A virtual server that the kernel can never create: it looks the scheduler up (and loads its module) before it refuses
 * the IPv6 persistence prefix length 0 (ip_vs_add_service in net/netfilter/ipvs/ip_vs_ctl.c).
 */
const probe = (scheduler: string): VirtualServer => ({
  key: virtualServerKey(probeIdentity),
  identity: probeIdentity,
  scheduler,
  persistence: { seconds: 1, prefixLength: 0 },
  flags: [],
});

export interface SchedulerProbe {
  apply(operations: readonly IpvsOperation[]): Promise<readonly Outcome[]>;
}

/** Throws PrerequisiteError where the kernel lacks the scheduler or refuses us; leaves the kernel as it is. */
export const requireScheduler = async (ipvs: SchedulerProbe, scheduler: string): Promise<void> => {
  const [outcome] = await ipvs.apply([{ kind: 'add-virtual-server', server: probe(scheduler) }]);
  if (outcome?.status === 'applied') {
    await ipvs.apply([{ kind: 'delete-virtual-server', server: probeIdentity }]);
    return;
  }
  if (outcome?.status !== 'failed') return;
  if (outcome.errno === 'EPERM') throw ipvsUnavailable('EPERM', undefined);
  if (outcome.errno !== 'ENOENT') return;
  throw new PrerequisiteError(
    `this kernel has no IPVS scheduler "${scheduler}": the module ip_vs_${scheduler} is neither built in nor could the kernel load it by itself. ` +
      `Load it on the node (modprobe ip_vs_${scheduler}), use a kernel that has it, or choose another with ipvs.scheduler or --ipvs-scheduler (rr is the default)`,
  );
};
