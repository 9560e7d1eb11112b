import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/log.js';

interface Closable {
  close(): void;
}

export interface KeptOpen {
  /** For the log: what comes through, as `link and address events`. */
  readonly what: string;
  /** Opens it; calls back when it is of no use any more. May throw. */
  readonly open: (failed: (error: Error) => void) => Closable;
  /** What came while it was not open is gone. */
  readonly lost: () => void;
  readonly pauseMilliseconds: number;
  readonly log: Logger;
}

/** Opens it now (and throws what that throws), and again after a pause whenever it fails. */
export const keepOpen = ({ what, open, lost, pauseMilliseconds, log }: KeptOpen): Disposable => {
  let timer: NodeJS.Timeout | undefined;
  let failures = 0;
  const failed = (error: Error): void => {
    current?.close();
    current = undefined;
    failures += 1;
    if (failures === 1)
      log.error({ error: messageOf(error) }, `${what} ended; they are opened again, and the resync goes on`);
    clearTimeout(timer);
    timer = setTimeout(openAgain, pauseMilliseconds);
  };
  const openAgain = (): void => {
    try {
      current = open(failed);
    } catch (error) {
      failed(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    log.info({ failures }, `${what} are there again`);
    failures = 0;
    lost();
  };
  let current: Closable | undefined = open(failed);
  return {
    [Symbol.dispose](): void {
      clearTimeout(timer);
      current?.close();
    },
  };
};
