import { ipvsUnavailable, requireScheduler } from '../apply/prerequisites.js';
import type { Logger } from '../base/log.js';
import type { Settings } from '../config/settings.js';
import { IpvsClient } from '../kernel/ipvs/client.js';
import { RouteClient } from '../kernel/rtnetlink/client.js';
import { setSysctls, type Sysctl } from '../kernel/sysctl.js';
import { NetlinkError } from '../netlink/errors.js';

export interface KernelAccess extends Disposable {
  readonly ipvs: IpvsClient;
  readonly route: RouteClient;
}

const openIpvs = (): IpvsClient => {
  try {
    return IpvsClient.open();
  } catch (error) {
    throw error instanceof NetlinkError ? ipvsUnavailable(error.errno, error) : error;
  }
};

/** Opens the sockets the daemon works with. Throws PrerequisiteError where the kernel has no IPVS or refuses it to us. */
export const openKernel = (): KernelAccess => {
  const ipvs = openIpvs();
  const route = RouteClient.open();
  return {
    ipvs,
    route,
    [Symbol.dispose](): void {
      ipvs.close();
      route.close();
    },
  };
};

const seconds = (milliseconds: number): number => Math.trunc(milliseconds / 1000);

/** The node answers ARP on an interface for the addresses of that interface only, never for a VIP (kube-proxy-ipvs §6.2). */
const strictArp: readonly Sysctl[] = [
  { name: 'net.ipv4.conf.all.arp_ignore', value: 1 },
  { name: 'net.ipv4.conf.all.arp_announce', value: 2 },
];

/** Makes sure the scheduler is there, and sets the IPVS timeouts and kernel settings that are configured. */
export const prepareKernel = async (
  { ipvs }: KernelAccess,
  settings: Settings,
  log: Logger,
): Promise<void> => {
  await requireScheduler(ipvs, settings.scheduler);
  for (const change of setSysctls(settings.strictArp ? strictArp : [])) {
    log.info({ sysctl: change.name, before: change.before, now: change.value }, 'set a kernel setting');
  }
  const { tcpTimeout, tcpFinTimeout, udpTimeout } = settings;
  if (tcpTimeout === 0 && tcpFinTimeout === 0 && udpTimeout === 0) return;
  await ipvs.setTimeouts({
    tcpSeconds: seconds(tcpTimeout),
    tcpFinSeconds: seconds(tcpFinTimeout),
    udpSeconds: seconds(udpTimeout),
  });
};
