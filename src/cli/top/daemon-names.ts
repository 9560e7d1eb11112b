import { adminClient, queryDaemon } from '../admin/admin-client.js';
import { buildServiceIndex, emptyServiceIndex, type ServiceIndex } from '../admin/service-index.js';
import type { NameLookup } from './rows.js';
import type { CurrentNames } from './top.js';

/** Names change seldom, and there may be many: the daemon is not asked at each look. */
const cacheMilliseconds = 5_000;

const namesOf = (book: ServiceIndex): NameLookup => ({
  serviceOf: (virtualServer) => book.get(virtualServer)?.service,
  frontendOf: (virtualServer) => {
    const known = book.get(virtualServer);
    if (known?.lingering !== undefined) return 'lingering';
    return known && [known.frontend, known.port?.name ?? ''].filter((part) => part !== '').join(' ');
  },
  podOf: (virtualServer, realServer) => book.get(virtualServer)?.realServers[realServer]?.pod,
});

/** The names that the daemon of this machine tells, asked for again and again. */
export const daemonNames = (adminSocket: string | undefined): (() => Promise<CurrentNames>) => {
  let last: { readonly at: number; readonly now: Promise<CurrentNames> } | undefined;
  const fetchNames = async (): Promise<CurrentNames> => {
    // Who turned it off knows that there are no names.
    if (adminClient(adminSocket) === undefined) return { names: namesOf(emptyServiceIndex), note: undefined };
    const result = await queryDaemon(adminSocket, (client) => client.virtualServers());
    return result.reason === undefined
      ? { names: namesOf(buildServiceIndex(result.response)), note: undefined }
      : { names: namesOf(emptyServiceIndex), note: `without names: ${result.reason}` };
  };
  return () => {
    if (last === undefined || performance.now() - last.at > cacheMilliseconds)
      last = { at: performance.now(), now: fetchNames() };
    return last.now;
  };
};
