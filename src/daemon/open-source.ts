import type { Logger } from '../base/log.js';
import type { Settings } from '../config/settings.js';
import type { Source } from '../watch/source.js';

export const openSource = async (settings: Settings, log: Logger): Promise<Source> => {
  throw new Error(`${settings.nodeName} ${String(log)}`);
};
