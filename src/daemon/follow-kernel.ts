import type { Logger } from '../base/log.js';
import { watchIpvsPresence } from '../kernel/ipvs/events.js';
import { watchNftables } from '../kernel/nftables/events.js';
import { watchRoute } from '../kernel/rtnetlink/events.js';
import { tableName } from '../model/nftables.js';
import { keepOpen } from './keep-open.js';
import type { KernelClients } from './kernel-access.js';
import type { Wired } from './wiring.js';

const pauseMilliseconds = 5_000;

/** From now on what others do to links, addresses, our packet rules and the module ip_vs is taken in, but not what we do ourselves. */
export const followKernel = (
  { kernelEvents, proxy }: Pick<Wired, 'kernelEvents' | 'proxy'>,
  { route, nftables }: KernelClients,
  log: Logger,
): Disposable => {
  const linksLost = (): void => proxy.eventsLost();
  const rulesLost = (): void => proxy.packetRulesChanged();
  const links = keepOpen({
    what: 'link and address events',
    open: (failed) =>
      watchRoute(
        { event: (event) => kernelEvents.event(event), lost: linksLost, failed },
        { exceptPort: route.portId },
      ),
    lost: linksLost,
    pauseMilliseconds,
    log,
  });
  const rules = keepOpen({
    what: 'packet rule events',
    open: (failed) =>
      watchNftables(
        { changed: rulesLost, lost: rulesLost, failed },
        { table: tableName, exceptPort: nftables.portId },
      ),
    lost: rulesLost,
    pauseMilliseconds,
    log,
  });
  const ipvsChanged = (): void => proxy.ipvsChanged();
  const presence = keepOpen({
    what: 'events of the module ip_vs',
    open: (failed) => watchIpvsPresence({ changed: ipvsChanged, lost: ipvsChanged, failed }),
    lost: ipvsChanged,
    pauseMilliseconds,
    log,
  });
  return {
    [Symbol.dispose](): void {
      links[Symbol.dispose]();
      rules[Symbol.dispose]();
      presence[Symbol.dispose]();
    },
  };
};
