import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { watchIpvsPresence } from '../kernel/ipvs/events.js';
import { watchNftables } from '../kernel/nftables/events.js';
import { watchRoute } from '../kernel/rtnetlink/events.js';
import { tableName } from '../model/nftables.js';
import { Kept } from './kept.js';
import type { KernelClients } from './kernel-access.js';
import type { Wired } from './wiring.js';

const delays = { firstMilliseconds: 250, maximumMilliseconds: 60_000 };

/**
 * From now on what others do to links, addresses, our packet rules and the module ip_vs is taken in, but not what we do
 * ourselves. The sockets for it are looked at after each sync, and opened anew with those for commands, whose ports they leave out.
 */
export const followKernel = (
  { kernelEvents, proxy, onSynced }: Pick<Wired, 'kernelEvents' | 'proxy' | 'onSynced'>,
  { ipvs, route, nftables, conntrack }: Omit<KernelClients, 'packetFamilies'>,
  log: Logger,
): Disposable => {
  const rulesChanged = (): void => proxy.packetRulesChanged();
  const links = new Kept({
    what: 'link and address events',
    open: (failed) =>
      watchRoute(
        { event: (event) => kernelEvents.event(event), lost: () => proxy.eventsLost(), failed },
        { exceptPort: route.portId },
      ),
    lost: () => proxy.rereadAddresses(),
    delays,
    log,
  });
  const rules = new Kept({
    what: 'packet rule events',
    open: (failed) =>
      watchNftables(
        { changed: rulesChanged, lost: rulesChanged, failed },
        { table: tableName, exceptPort: nftables.portId },
      ),
    lost: rulesChanged,
    delays,
    log,
  });
  const ipvsChanged = (): void => proxy.ipvsChanged();
  const presence = new Kept({
    what: 'events of the module ip_vs',
    open: (failed) => watchIpvsPresence({ changed: ipvsChanged, lost: ipvsChanged, failed }),
    lost: ipvsChanged,
    delays,
    log,
  });
  const all = [links, rules, presence];
  onSynced(() => {
    for (const each of all) each.look();
  });
  const clients = [
    { socket: 'IPVS', client: ipvs },
    { socket: 'links and addresses', client: route, events: links },
    { socket: 'packet rules', client: nftables, events: rules },
    { socket: 'connection tracking', client: conntrack },
  ];
  for (const { socket, client, events } of clients)
    client.onReopened(({ error, isNews }) => {
      if (isNews)
        log.warn(
          { socket, error: messageOf(error) },
          'a netlink socket was of no use any more; opened another one',
        );
      events?.renew();
    });
  return {
    [Symbol.dispose](): void {
      for (const each of all) each[Symbol.dispose]();
    },
  };
};
