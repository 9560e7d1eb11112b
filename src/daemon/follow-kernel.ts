import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { watchNftables } from '../kernel/nftables/events.js';
import { watchRoute } from '../kernel/rtnetlink/events.js';
import { tableName } from '../model/nftables.js';
import type { KernelClients } from './kernel-access.js';
import type { Wired } from './wiring.js';

/** From now on what others do to links, addresses and our packet rules is taken in, but not what we do ourselves. */
export const followKernel = (
  { kernelEvents, proxy }: Pick<Wired, 'kernelEvents' | 'proxy'>,
  { route, nftables }: KernelClients,
  log: Logger,
): Disposable => {
  const failed =
    (what: string) =>
    (error: Error): void =>
      log.error({ error: messageOf(error) }, `${what} events ended; the periodic resync goes on`);
  const links = watchRoute(
    {
      event: (event) => kernelEvents.event(event),
      lost: () => proxy.eventsLost(),
      failed: failed('link and address'),
    },
    { exceptPort: route.portId },
  );
  const rules = watchNftables(
    {
      changed: () => proxy.packetRulesChanged(),
      lost: () => proxy.packetRulesChanged(),
      failed: failed('packet rule'),
    },
    { table: tableName, exceptPort: nftables.portId },
  );
  return {
    [Symbol.dispose](): void {
      links.close();
      rules.close();
    },
  };
};
