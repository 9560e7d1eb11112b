import { BaseError } from '../base/errors.js';
import type { Settings } from '../config/settings.js';

/** Runs the daemon until it is told to stop; resolves to the exit status. */
export const runDaemon = async (settings: Settings): Promise<number> => {
  throw new BaseError(`the daemon for node ${settings.nodeName} is not part of this build yet`);
};
