import { paceWords } from '../../plan/pace/pace-step.js';
import { adminClient, queryDaemon } from '../admin/admin-client.js';
import type { InstanceOptions } from '../admin/instance.js';
import { buildServiceIndex, emptyServiceIndex, type ServiceIndex } from '../admin/service-index.js';
import type { NameLookup } from './rows.js';
import type { CurrentNames } from './top.js';

/** Names change rarely, and there may be many: they are not read with each sample. */
const cacheMilliseconds = 5_000;

const namesOf = (index: ServiceIndex): NameLookup => ({
  serviceOf: (virtualServer) => index.get(virtualServer)?.service,
  frontendOf: (virtualServer) => {
    const known = index.get(virtualServer);
    if (known?.lingering !== undefined) return 'orphaned';
    return known && [known.frontend, known.port?.name ?? ''].filter((part) => part !== '').join(' ');
  },
  podOf: (virtualServer, realServer) => index.get(virtualServer)?.realServers[realServer]?.pod,
  isUsed: (virtualServer, realServer) =>
    (index.get(virtualServer)?.realServers[realServer]?.state ?? 'draining') !== 'draining',
  paceOf: (virtualServer, realServer) => {
    const pace = index.get(virtualServer)?.realServers[realServer]?.pace;
    return pace && paceWords(pace);
  },
});

/** Reads the names from the daemon on this node again and again. */
export const daemonNames = (options: InstanceOptions): (() => Promise<CurrentNames>) => {
  let last: { readonly at: number; readonly now: Promise<CurrentNames> } | undefined;
  const fetchNames = async (): Promise<CurrentNames> => {
    // The user turned names off: no note.
    if (adminClient(options) === undefined) return { names: namesOf(emptyServiceIndex), note: undefined };
    const result = await queryDaemon(options, (client) => client.virtualServers());
    return result.reason === undefined
      ? { names: namesOf(buildServiceIndex(result.response)), note: undefined }
      : { names: namesOf(emptyServiceIndex), note: `no names: ${result.reason}` };
  };
  return () => {
    if (last === undefined || performance.now() - last.at > cacheMilliseconds)
      last = { at: performance.now(), now: fetchNames() };
    return last.now;
  };
};
