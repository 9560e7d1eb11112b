import { messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { watchIpvsPresence } from '../../kernel/ipvs/events.js';
import { watchNftables } from '../../kernel/nftables/events.js';
import { watchRtnetlink } from '../../kernel/rtnetlink/events.js';
import { tableName } from '../../nftables/declarations.js';
import { Subscription } from './subscription.js';
import type { KernelClients } from './kernel-access.js';
import type { Composition } from '../compose.js';

const delays = { firstMilliseconds: 250, maximumMilliseconds: 60_000 };

/**
 * From now on what others do to links, addresses, our packet rules and the module ip_vs is taken in, but not what we do
 * ourselves. The sockets for it are looked at after each sync, and opened anew with those for commands, whose ports they leave out.
 */
export const subscribeToKernel = (
  { routeEvents, syncLoop, onSynced }: Pick<Composition, 'routeEvents' | 'syncLoop' | 'onSynced'>,
  { ipvs, route, nftables, conntrack }: Omit<KernelClients, 'packetFamilies'>,
  log: Logger,
): Disposable => {
  const rulesChanged = (): void => syncLoop.packetRulesChanged();
  const links = new Subscription({
    description: 'link and address events',
    open: (failed) =>
      watchRtnetlink(
        { event: (event) => routeEvents.handle(event), lost: () => syncLoop.eventsLost(), failed },
        { ignoredPortId: route.portId },
      ),
    lost: () => syncLoop.rereadAddresses(),
    delays,
    log,
  });
  const rules = new Subscription({
    description: 'packet rule events',
    open: (failed) =>
      watchNftables(
        { changed: rulesChanged, lost: rulesChanged, failed },
        { table: tableName, ignoredPortId: nftables.portId },
      ),
    lost: rulesChanged,
    delays,
    log,
  });
  const ipvsChanged = (): void => syncLoop.ipvsChanged();
  const presence = new Subscription({
    description: 'events of the module ip_vs',
    open: (failed) => watchIpvsPresence({ changed: ipvsChanged, lost: ipvsChanged, failed }),
    lost: ipvsChanged,
    delays,
    log,
  });
  const subscriptions = [links, rules, presence];
  onSynced(() => {
    for (const each of subscriptions) each.check();
  });
  const clients = [
    { socket: 'IPVS', client: ipvs },
    { socket: 'links and addresses', client: route, events: links },
    { socket: 'packet rules', client: nftables, events: rules },
    { socket: 'connection tracking', client: conntrack },
  ];
  for (const { socket, client, events } of clients)
    client.onReopened(({ error, previousWorked }) => {
      if (previousWorked)
        log.warn(
          { socket, error: messageOf(error) },
          'a netlink socket was of no use any more; opened another one',
        );
      events?.reopen();
    });
  return {
    [Symbol.dispose](): void {
      for (const each of subscriptions) each[Symbol.dispose]();
    },
  };
};
