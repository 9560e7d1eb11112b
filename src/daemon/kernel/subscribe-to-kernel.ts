import { messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { watchIpvsPresence } from '../../kernel/ipvs/events.js';
import { watchNftables } from '../../kernel/nftables/events.js';
import { watchRtnetlink } from '../../kernel/rtnetlink/events.js';
import type { InstanceNames } from '../../model/instance-names.js';
import { Subscription } from './subscription.js';
import type { KernelClients } from './kernel-access.js';
import type { Composition } from '../compose.js';

const delays = { firstMilliseconds: 250, maximumMilliseconds: 60_000 };

interface SubscriptionContext {
  readonly names: InstanceNames;
  readonly log: Logger;
}

type KernelListeners = Pick<Composition, 'routeEvents' | 'syncLoop'>;
type EventClients = Omit<KernelClients, 'packetFamilies'>;

interface Subscriptions {
  readonly links: Subscription;
  readonly rules: Subscription;
  readonly presence: Subscription;
}

const openSubscriptions = (
  { routeEvents, syncLoop }: KernelListeners,
  { route, nftables }: EventClients,
  { names, log }: SubscriptionContext,
): Subscriptions => {
  const rulesChanged = (): void => syncLoop.packetRulesChanged();
  const ipvsChanged = (): void => syncLoop.ipvsChanged();
  const links = new Subscription({
    description: 'links and addresses',
    open: (failed) =>
      watchRtnetlink(
        { event: (event) => routeEvents.handle(event), lost: () => syncLoop.eventsLost(), failed },
        names,
        { ignoredPortId: route.portId },
      ),
    lost: () => syncLoop.rereadAddresses(),
    delays,
    log,
  });
  const rules = new Subscription({
    description: 'packet rules',
    open: (failed) =>
      watchNftables(
        { changed: rulesChanged, lost: rulesChanged, failed },
        { table: names.table, ignoredPortId: nftables.portId },
      ),
    lost: rulesChanged,
    delays,
    log,
  });
  const presence = new Subscription({
    description: 'module ip_vs',
    open: (failed) => watchIpvsPresence({ changed: ipvsChanged, lost: ipvsChanged, failed }),
    lost: ipvsChanged,
    delays,
    log,
  });
  return { links, rules, presence };
};

/** Logs each netlink socket that failed; its subscription is reopened with it, as it leaves out the events of its port. */
const followReopenedSockets = (clients: EventClients, { links, rules }: Subscriptions, log: Logger): void => {
  const sockets = [
    { socket: 'IPVS', client: clients.ipvs },
    { socket: 'links and addresses', client: clients.route, events: links },
    { socket: 'packet rules', client: clients.nftables, events: rules },
    { socket: 'connection tracking', client: clients.conntrack },
  ];
  for (const { socket, client, events } of sockets)
    client.onReopened(({ error, previousWorked }) => {
      if (previousWorked)
        log.warn(
          { event: 'netlink-socket-reopened', socket, error: messageOf(error) },
          'Netlink socket failed; reopened',
        );
      events?.reopen();
    });
};

/**
 * Subscribes to the changes that other programs make to links, addresses, our packet rules and the module ip_vs; changes of our
 * own are left out. Each sync checks that the sockets still work.
 */
export const subscribeToKernel = (
  composition: KernelListeners & Pick<Composition, 'onSynced'>,
  clients: EventClients,
  context: SubscriptionContext,
): Disposable => {
  const subscriptions = openSubscriptions(composition, clients, context);
  const all: readonly Subscription[] = Object.values(subscriptions);
  composition.onSynced(() => {
    for (const each of all) each.check();
  });
  followReopenedSockets(clients, subscriptions, context.log);
  return {
    [Symbol.dispose](): void {
      for (const each of all) each[Symbol.dispose]();
    },
  };
};
