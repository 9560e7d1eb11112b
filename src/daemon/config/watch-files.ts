import { watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';

/** One change causes several events, and a file that is overwritten is empty for a moment. */
const settleMilliseconds = 100;

/** For changes without an event: behind a link that leads out of the folder, or of a folder that was replaced. */
const pollMilliseconds = 10_000;

/**
 * Calls back when one of the files may have changed: it was written or replaced, or the `..data` link of its ConfigMap
 * volume was swapped. It also calls back from time to time without a change.
 */
export const watchFiles = (files: readonly string[], mayHaveChanged: () => void): Disposable => {
  const watchers = new Map<string, FSWatcher>();
  let settling: NodeJS.Timeout | undefined;
  const soon = (): void => {
    settling ??= setTimeout(() => {
      settling = undefined;
      mayHaveChanged();
    }, settleMilliseconds);
  };
  const forget = (folder: string): void => {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  };
  const follow = (folder: string): void => {
    try {
      const watcher = watch(folder, soon);
      watcher.on('error', () => forget(folder));
      watchers.set(folder, watcher);
    } catch {
      // The folder does not exist, or no inotify watches are left: the poll retries, and reports possible changes meanwhile.
    }
  };
  const followAll = (): void => {
    for (const folder of new Set(files.map((file) => dirname(file))))
      if (!watchers.has(folder)) follow(folder);
  };
  followAll();
  const poll = setInterval(() => {
    followAll();
    soon();
  }, pollMilliseconds);
  return {
    [Symbol.dispose](): void {
      clearInterval(poll);
      clearTimeout(settling);
      for (const watcher of watchers.values()) watcher.close();
    },
  };
};
