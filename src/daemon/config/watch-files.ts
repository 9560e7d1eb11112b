import { watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';

/** A change often comes as several events, and a file that is written over is empty for a moment. */
const settleMilliseconds = 100;

/** For what no event tells of: a link that leads out of the folder, a folder that was put in the place of another. */
const pollMilliseconds = 10_000;

/**
 * Calls back whenever one of the files may have changed, be it written, replaced, or a ConfigMap volume whose `..data` link was
 * swapped: their folders are watched. It also calls back now and then without a reason.
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
      // The folder has gone, or there are no inotify watches left: the poll tries again, and looks by itself.
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
