import type { IpvsClient } from '../../kernel/ipvs/client.js';
import type { InstanceNames } from '../../model/instance-names.js';
import { formatSyncDaemon, isOwnSyncDaemon, syncAddresses } from '../../model/sync-daemon.js';
import type { Removal } from './removal.js';

/** The daemons of the instance that synchronize connections; none without IPVS. */
export const syncDaemonRemovals = async (
  ipvs: IpvsClient | undefined,
  { serviceProxyName }: InstanceNames,
): Promise<readonly Removal[]> => {
  const own = syncAddresses(serviceProxyName);
  const daemons = (await ipvs?.syncDaemons()) ?? [];
  return daemons
    .filter((daemon) => isOwnSyncDaemon(daemon, own))
    .map((daemon) => ({
      what: `connection synchronization: ${formatSyncDaemon(daemon)}`,
      remove: async () => ipvs?.stopSyncDaemon(daemon.role),
    }));
};
