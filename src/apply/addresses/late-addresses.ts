import { sleep, yieldToEventLoop } from '../../base/async.js';
import { familyOf, type IpAddress } from '../../base/ip.js';
import type { AddressOperation } from '../../model/operation.js';

/** How long to wait for the kernel, in milliseconds. */
const patience = 1_000;

/** Whether the operation leaves an IPv6 VIP to the local route that the kernel has for its address. */
export const leavesToKernel = ({ kind, binding, address, replacedBy }: AddressOperation): boolean =>
  kind === 'unbind-address' &&
  binding === 'route' &&
  replacedBy === 'address' &&
  familyOf(address) === 'IPv6';

/**
 * Waits until the kernel has local routes for the IPv6 addresses that replace routes of ours: it enters them in a task of its own
 * after it has accepted an address (net/ipv6/addrconf.c, addrconf_dad_work). Returns the addresses for which it still has none after
 * a second. `localAddresses` reads those that have one.
 */
export const lateAddresses = async (
  operations: readonly AddressOperation[],
  localAddresses: () => Promise<ReadonlySet<IpAddress>>,
): Promise<ReadonlySet<IpAddress>> => {
  let late = operations.filter(leavesToKernel).map(({ address }) => address);
  for (let pause = 0, waited = 0; late.length > 0; waited += pause, pause = pause * 2 + 1) {
    const local = await localAddresses();
    late = late.filter((address) => !local.has(address));
    if (late.length === 0 || waited >= patience) break;
    if (pause > 0) await sleep(pause);
    else await yieldToEventLoop();
  }
  return new Set(late);
};
