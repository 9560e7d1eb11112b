import { UsageError } from '../../config/parse-flags.js';
import { IpvsClient } from '../../kernel/ipvs/client.js';
import type { SyncDaemon } from '../../model/sync-daemon.js';
import { withRemedy } from '../kernel/read-kernel.js';
import { printDiagnostic } from '../output/standard-output.js';

/** A line of `ipvsadm -L --daemon`, without the length of messages. */
const daemonLine = ({ role, interface: name, syncId, address, port, ttl }: SyncDaemon): string =>
  `${role} sync daemon (mcast=${name}, syncid=${syncId}, group=${address}, port=${port}, ttl=${ttl})\n`;

/** Prints the daemons of all programs that synchronize connections. */
export const dumpSyncDaemons = async (output: string): Promise<number> => {
  if (output !== 'table' && output !== 'json')
    throw new UsageError('--sync-daemons supports only -o table and json');
  try {
    using client = { ipvs: IpvsClient.open(), [Symbol.dispose]: () => client.ipvs.close() };
    const syncDaemons = await client.ipvs.syncDaemons();
    if (output === 'json') process.stdout.write(`${JSON.stringify({ syncDaemons }, undefined, 2)}\n`);
    else if (syncDaemons.length === 0) printDiagnostic('the kernel synchronizes no connections');
    else process.stdout.write(syncDaemons.map(daemonLine).join(''));
    return 0;
  } catch (error) {
    throw withRemedy(error);
  }
};
