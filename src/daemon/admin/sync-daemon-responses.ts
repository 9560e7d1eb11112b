import type { SyncDaemonResponse } from '../../admin-api/kernel-responses.js';
import type { ConnectionSync } from '../kernel/connection-sync.js';

/** The daemons that synchronize connections; empty where none is configured and none runs. */
export const syncDaemonResponses = ({
  states,
}: Pick<ConnectionSync, 'states'>): readonly SyncDaemonResponse[] =>
  [...states].map(([role, { status, daemon, problem }]) => ({
    role,
    status,
    ...(daemon === undefined
      ? {}
      : { interface: daemon.interface, group: daemon.syncId, address: daemon.address, port: daemon.port }),
    ...(problem === undefined ? {} : { trouble: problem }),
  }));
