import type { AddressOperation, Outcome } from '../../model/operation.js';
import type { BoundVips } from '../../model/settings/vip-binding.js';
import { familyOf, hostPrefixLength, isIpv6LinkLocal, isLoopback, type IpAddress } from '../../base/ip.js';
import { BaseError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { decide } from '../retry/decisions.js';
import { lateAddresses, leavesToKernel } from './late-addresses.js';

interface DummyAddress {
  readonly address: IpAddress;
  readonly prefixLength: number;
  readonly interfaceIndex: number;
}

/**
 * Whether kube-ipvs could have bound this address of kube-ipvs0. Link-local addresses come from the kernel
 * when another program sets the device up, and networks are not VIPs.
 */
export const isVip = ({ address, prefixLength }: Omit<DummyAddress, 'interfaceIndex'>): boolean =>
  prefixLength === hostPrefixLength(familyOf(address)) && !isLoopback(address) && !isIpv6LinkLocal(address);

/** The rtnetlink operations that `DummyInterface` needs. */
export interface DummyInterfaceLinks {
  link(name: string): Promise<{ readonly index: number; readonly kind: string | undefined } | undefined>;
  createDummy(name: string): Promise<Outcome>;
  addresses(of: { readonly only: number }): Promise<readonly DummyAddress[]>;
  /** The VIPs that have a local route of ours. */
  vipRoutes(): Promise<readonly IpAddress[]>;
  /** The IPv6 addresses of this machine for which the kernel has entered a local route. */
  localIpv6Addresses(): Promise<ReadonlySet<IpAddress>>;
  apply(interfaceIndex: number, operations: readonly AddressOperation[]): Promise<readonly Outcome[]>;
}

/**
 * kube-ipvs0 cannot be found or created: the kernel has no driver, the permission is missing, or a device of
 * another kind has the name.
 */
export class DummyInterfaceError extends BaseError {
  constructor(
    message: string,
    readonly errno: string | undefined,
  ) {
    super(message);
  }
}

const createFailure = (name: string, outcome: Outcome): DummyInterfaceError => {
  const errno = outcome.status === 'failed' ? outcome.errno : undefined;
  if (errno === 'EOPNOTSUPP') {
    return new DummyInterfaceError(
      `cannot create ${name}: this kernel has no dummy network driver. Load it on the node (modprobe dummy, or a line "dummy" in /etc/modules-load.d) or use a kernel with CONFIG_DUMMY`,
      errno,
    );
  }
  if (errno === 'EEXIST') {
    return new DummyInterfaceError(
      `${name} exists and is not a dummy device. Rename or delete it (ip link delete ${name})`,
      errno,
    );
  }
  if (errno === 'EPERM') {
    return new DummyInterfaceError(
      `cannot create ${name}: not permitted. Run as root or with the capability NET_ADMIN in the host's network namespace`,
      errno,
    );
  }
  return new DummyInterfaceError(`cannot create ${name}: ${errno ?? 'the kernel did not reply'}`, errno);
};

/** Local routes need no device. */
const isOnDevice = ({ binding }: AddressOperation): boolean => binding === 'address';
const noDevice = 0;

/** Whether the operation failed because the device is missing. Unbinding a VIP of a missing device succeeds. */
const isDeviceMissing = (operation: AddressOperation, outcome: Outcome | undefined): boolean =>
  outcome !== undefined && decide(operation, outcome) === 'ensure-device';

const notYetLocal: Outcome = {
  status: 'failed',
  errno: 'EAGAIN',
  message: 'the kernel has no local route for the new address yet',
};

/**
 * Manages kube-ipvs0, which makes VIPs local: creates the device, also after another program deleted it, and
 * binds and unbinds its addresses and local routes. Never sets the device up, because IPVS needs only the
 * local route.
 */
export class DummyInterface {
  #index: number | undefined;

  /** `name` is that of the instance (instance-names.ts). `onCreated` is called whenever the device was created and therefore has no addresses. */
  constructor(
    private readonly links: DummyInterfaceLinks,
    readonly name: string,
    private readonly log: Logger,
    private readonly onCreated: () => void = () => {},
  ) {}

  /** The index of the device; undefined before `ensure` succeeds. */
  get index(): number | undefined {
    return this.#index;
  }

  /** Finds the device without creating it. Returns undefined if there is no dummy device of this name. */
  async find(): Promise<number | undefined> {
    if (this.#index !== undefined) return this.#index;
    const existing = await this.links.link(this.name);
    if (existing?.kind === 'dummy') this.#index = existing.index;
    return this.#index;
  }

  /** Finds or creates the device and returns its index. Throws DummyInterfaceError. */
  async ensure(): Promise<number> {
    const found = await this.find();
    if (found !== undefined) return found;
    const outcome = await this.links.createDummy(this.name);
    const index = await this.find();
    if (index === undefined) throw createFailure(this.name, outcome);
    this.log.info(
      { event: 'dummy-interface-created', interface: this.name, index },
      'Dummy interface created',
    );
    this.onCreated();
    return index;
  }

  /** Discards what is known of the device: the next `find` or `ensure` queries the kernel. */
  forget(): void {
    this.#index = undefined;
  }

  /** The VIPs on the device, and those with local routes of ours, whatever their device. */
  async boundVips(): Promise<BoundVips> {
    const index = await this.find();
    const addresses = index === undefined ? [] : await this.links.addresses({ only: index });
    return { address: this.vipsAmong(addresses), route: await this.links.vipRoutes() };
  }

  /** The VIPs among the addresses of interfaces: those of the device. */
  vipsAmong(addresses: readonly DummyAddress[]): readonly IpAddress[] {
    return addresses
      .filter((entry) => entry.interfaceIndex === this.#index && isVip(entry))
      .map((entry) => entry.address);
  }

  /**
   * Returns one outcome per operation, in order. If the device is missing for an address, creates it and sends the
   * operations again; if that fails, every operation fails with ENODEV. A route that an IPv6 address replaces stays until
   * the kernel has its own; its deletion fails with EAGAIN after a second. Calls `onSend` immediately before each sending.
   */
  async apply(
    operations: readonly AddressOperation[],
    onSend: () => void = () => {},
  ): Promise<readonly Outcome[]> {
    const late = await lateAddresses(operations, () => this.links.localIpv6Addresses());
    if (late.size === 0) return this.#send(operations, onSend);
    const isLate = (operation: AddressOperation): boolean =>
      leavesToKernel(operation) && late.has(operation.address);
    const outcomes = (
      await this.#send(
        operations.filter((operation) => !isLate(operation)),
        onSend,
      )
    ).values();
    return operations.map((operation) =>
      isLate(operation) ? notYetLocal : (outcomes.next().value ?? { status: 'unknown' }),
    );
  }

  async #send(operations: readonly AddressOperation[], onSend: () => void): Promise<readonly Outcome[]> {
    const send = async (): Promise<readonly Outcome[]> => {
      const index = operations.some(isOnDevice) ? await this.ensure() : noDevice;
      onSend();
      return this.links.apply(index, operations);
    };
    try {
      const outcomes = await send();
      if (!operations.some((operation, index) => isDeviceMissing(operation, outcomes[index])))
        return outcomes;
      this.forget();
      return await send();
    } catch (error) {
      if (!(error instanceof DummyInterfaceError)) throw error;
      return operations.map(() => ({ status: 'failed', errno: 'ENODEV', message: error.message }));
    }
  }
}
