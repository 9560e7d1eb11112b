import type { SchedulerProbe } from '../../apply/prerequisites.js';
import type { Logger } from '../../base/log.js';
import type { IpvsClient } from '../../kernel/ipvs/client.js';
import type { LiveSettings } from '../config/live-settings.js';
import { prepareKernel } from './kernel-access.js';

export interface IpvsReloadParts {
  readonly ipvs: SchedulerProbe & Pick<IpvsClient, 'refreshFamily' | 'reloads' | 'setTimeouts'>;
  readonly settings: LiveSettings;
  readonly log: Logger;
  readonly onReloaded?: () => void;
}

/** Returns a function that prepares IPVS again if the kernel loaded its module again since the last call. */
export const prepareAfterIpvsReload = ({
  ipvs,
  settings,
  log,
  onReloaded = () => {},
}: IpvsReloadParts): (() => Promise<void>) => {
  let reloads = 0;
  return async () => {
    ipvs.refreshFamily();
    if (ipvs.reloads === reloads) return;
    log.warn({ event: 'ipvs-reloaded' }, 'IPVS module reloaded; restoring its settings and its table');
    await prepareKernel({ ipvs }, settings.now, log);
    reloads = ipvs.reloads;
    onReloaded();
  };
};
