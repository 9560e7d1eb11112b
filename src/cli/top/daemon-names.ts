import { adminClient, askDaemon } from '../admin-client.js';
import { bookOf, noNames, type NamesBook } from '../names-book.js';
import type { Names } from './rows.js';
import type { NamesNow } from './top.js';

/** Names change seldom, and there may be many: the daemon is not asked at each look. */
const freshMilliseconds = 5_000;

const namesOf = (book: NamesBook): Names => ({
  serviceOf: (virtualServer) => book.of(virtualServer)?.service,
  frontendOf: (virtualServer) => {
    const known = book.of(virtualServer);
    if (known?.lingering !== undefined) return 'lingering';
    return known && [known.frontend, known.port?.name ?? ''].filter((part) => part !== '').join(' ');
  },
  podOf: (virtualServer, realServer) => book.of(virtualServer)?.realServers[realServer]?.pod,
});

/** The names that the daemon of this machine tells, asked for again and again. */
export const daemonNames = (adminSocket: string | undefined): (() => Promise<NamesNow>) => {
  let last: { readonly at: number; readonly now: Promise<NamesNow> } | undefined;
  const ask = async (): Promise<NamesNow> => {
    // Who turned it off knows that there are no names.
    if (adminClient(adminSocket) === undefined) return { names: namesOf(noNames), note: undefined };
    const told = await askDaemon(adminSocket, (client) => client.virtualServers());
    return told.why === undefined
      ? { names: namesOf(bookOf(told.answer)), note: undefined }
      : { names: namesOf(noNames), note: `without names: ${told.why}` };
  };
  return () => {
    if (last === undefined || performance.now() - last.at > freshMilliseconds)
      last = { at: performance.now(), now: ask() };
    return last.now;
  };
};
