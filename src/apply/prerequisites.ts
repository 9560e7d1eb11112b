import type { IpAddress } from '../base/ip.js';
import { BaseError } from '../base/errors.js';
import { missingIpvs, missingCapability } from '../kernel/ipvs/remedies.js';
import type { IpvsOperation, Outcome } from '../model/operation.js';
import { virtualServerKey, type VirtualServer, type VirtualServerIdentity } from '../model/virtual-server.js';

/** The node lacks a prerequisite; the message names it and explains how to provide it. */
export class PrerequisiteError extends BaseError {}

/** Explains why IPVS is unavailable, given the name of the errno. */
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
 * A virtual server that the kernel can never create. ip_vs_add_service (net/netfilter/ipvs/ip_vs_ctl.c) first
 * looks up the scheduler and loads its module, then rejects the IPv6 persistence prefix length 0.
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

/**
 * Throws PrerequisiteError if the kernel lacks the scheduler or denies access to IPVS. Changes nothing in the
 * kernel.
 */
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
    `this kernel has no IPVS scheduler "${scheduler}": the module ip_vs_${scheduler} is not built in, and the kernel could not load it. ` +
      `Load it on the node (modprobe ip_vs_${scheduler}), use a kernel that includes it, or choose another scheduler with ipvs.scheduler or --ipvs-scheduler (default: rr)`,
  );
};
