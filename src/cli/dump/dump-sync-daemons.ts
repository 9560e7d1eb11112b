import { UsageError } from '../../config/parse-flags.js';
import { IpvsClient } from '../../kernel/ipvs/client.js';
import type { SyncDaemon } from '../../model/sync-daemon.js';
import { withRemedy } from '../kernel/read-kernel.js';
import { printDiagnostic } from '../output/standard-output.js';

const readSyncDaemons = async (): Promise<readonly SyncDaemon[]> => {
  const ipvs = IpvsClient.open();
  try {
    return await ipvs.syncDaemons();
  } finally {
    ipvs.close();
  }
};

/** A line of `ipvsadm -L --daemon`, without the length of messages. */
const daemonLine = ({ role, interface: name, syncId, address, port, ttl }: SyncDaemon): string =>
  `${role} sync daemon (mcast=${name}, syncid=${syncId}, group=${address}, port=${port}, ttl=${ttl})\n`;

export interface SyncDaemonsOptions {
  /** As the user wrote it. */
  readonly target: string | undefined;
  readonly output: string;
}

/** Prints the daemons of all programs that synchronize connections. */
export const dumpSyncDaemons = async ({ target, output }: SyncDaemonsOptions): Promise<number> => {
  if (target !== undefined) throw new UsageError('--sync-daemons takes no target');
  if (output !== 'table' && output !== 'json')
    throw new UsageError('--sync-daemons supports only -o table and json');
  try {
    const syncDaemons = await readSyncDaemons();
    if (output === 'json') process.stdout.write(`${JSON.stringify({ syncDaemons }, undefined, 2)}\n`);
    else if (syncDaemons.length === 0) printDiagnostic('the kernel synchronizes no connections');
    else process.stdout.write(syncDaemons.map(daemonLine).join(''));
    return 0;
  } catch (error) {
    throw withRemedy(error);
  }
};
