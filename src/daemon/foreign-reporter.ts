import { tellOfEach } from '../apply/news.js';
import type { Logger } from '../base/log.js';
import type { VirtualServerKey } from '../model/virtual-server.js';
import type { Contested } from '../plan/contested.js';

/** Logs each foreign virtual server once, of many at a time the first ones; to be called after each sync. */
export const foreignReporter = (contested: Pick<Contested, 'others' | 'at'>, log: Logger): (() => void) => {
  let reported: ReadonlySet<VirtualServerKey> = new Set();
  return () => {
    const now = new Set<VirtualServerKey>();
    const news: object[] = [];
    for (const key of contested.others()) {
      const isKnown = reported.has(key);
      if (!isKnown && contested.at(key) !== undefined) continue;
      now.add(key);
      if (!isKnown) news.push({ virtualServer: key });
    }
    // What has gone is news when it comes again.
    reported = now;
    tellOfEach(news, (fields) => log.info(fields, 'a virtual server that is not ours is left alone'));
  };
};
