import { dummyInterfaceName } from '../../model/node.js';
import type { AddressOperation, Outcome } from '../../model/operation.js';
import { familyOf, hostPrefixLength, isIpv6LinkLocal, isLoopback, type IpAddress } from '../../base/ip.js';
import { BaseError } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import { decide } from '../retry/decisions.js';

interface DummyAddress {
  readonly address: IpAddress;
  readonly prefixLength: number;
  readonly interfaceIndex: number;
}

/**
 * Whether an address of kube-ipvs0 is one that we could have bound. Others are left alone: what the kernel gives a device
 * that somebody brought up (link-local), and networks, which are no VIPs.
 */
export const isVip = ({ address, prefixLength }: Omit<DummyAddress, 'interfaceIndex'>): boolean =>
  prefixLength === hostPrefixLength(familyOf(address)) && !isLoopback(address) && !isIpv6LinkLocal(address);

/** What the manager asks of rtnetlink. */
export interface DummyInterfaceLinks {
  link(name: string): Promise<{ readonly index: number; readonly kind: string | undefined } | undefined>;
  createDummy(name: string): Promise<Outcome>;
  addresses(): Promise<readonly DummyAddress[]>;
  apply(interfaceIndex: number, operations: readonly AddressOperation[]): Promise<readonly Outcome[]>;
}

/** The dummy device cannot be had: no driver, no right, or another kind of device has its name. */
export class DummyInterfaceError extends BaseError {
  constructor(
    message: string,
    readonly errno: string | undefined,
  ) {
    super(message);
  }
}

const createFailure = (outcome: Outcome): DummyInterfaceError => {
  const errno = outcome.status === 'failed' ? outcome.errno : undefined;
  if (errno === 'EOPNOTSUPP') {
    return new DummyInterfaceError(
      `cannot create ${dummyInterfaceName}: this kernel has no dummy network driver. Load it on the node (modprobe dummy, or a line "dummy" in /etc/modules-load.d) or use a kernel with CONFIG_DUMMY`,
      errno,
    );
  }
  if (errno === 'EEXIST') {
    return new DummyInterfaceError(
      `${dummyInterfaceName} exists and is no dummy device: rename or delete it (ip link delete ${dummyInterfaceName})`,
      errno,
    );
  }
  if (errno === 'EPERM') {
    return new DummyInterfaceError(
      `cannot create ${dummyInterfaceName}: not permitted. Run as root or with the capability NET_ADMIN in the host's network namespace`,
      errno,
    );
  }
  return new DummyInterfaceError(`cannot create ${dummyInterfaceName}: ${errno ?? 'no answer'}`, errno);
};

/** A bound address that has gone with its device is as unbound as it can be, and says nothing. */
const isDeviceMissing = (operation: AddressOperation, outcome: Outcome | undefined): boolean =>
  outcome !== undefined && decide(operation, outcome) === 'ensure-device';

/**
 * Owns the device that makes VIPs local. Creates it where it is missing, binds and unbinds addresses, and finds it again
 * when somebody deleted it. It never brings the device up: a local route is all that IPVS needs.
 */
export class DummyInterface {
  #index: number | undefined;

  /** `onCreated` is called whenever the device is new, and so without addresses. */
  constructor(
    private readonly links: DummyInterfaceLinks,
    private readonly log: Logger,
    private readonly onCreated: () => void = () => {},
  ) {}

  /** The device's index, undefined until `ensure`. */
  get index(): number | undefined {
    return this.#index;
  }

  /** Looks for the device without creating it; its index, undefined where there is none that is ours. */
  async find(): Promise<number | undefined> {
    if (this.#index !== undefined) return this.#index;
    const existing = await this.links.link(dummyInterfaceName);
    if (existing?.kind === 'dummy') this.#index = existing.index;
    return this.#index;
  }

  /** Finds or creates the device and returns its index. Throws DummyInterfaceError. */
  async ensure(): Promise<number> {
    const found = await this.find();
    if (found !== undefined) return found;
    const outcome = await this.links.createDummy(dummyInterfaceName);
    const index = await this.find();
    if (index === undefined) throw createFailure(outcome);
    this.log.info(
      { event: 'dummy-interface-created', interface: dummyInterfaceName, index },
      'Dummy interface created',
    );
    this.onCreated();
    return index;
  }

  /** To be called when the device may have gone or changed: the next `find` or `ensure` looks anew. */
  forget(): void {
    this.#index = undefined;
  }

  /** The VIPs on the device now; none where there is no device. */
  async addresses(): Promise<readonly IpAddress[]> {
    const index = await this.find();
    if (index === undefined) return [];
    return (await this.links.addresses())
      .filter((entry) => entry.interfaceIndex === index && isVip(entry))
      .map((entry) => entry.address);
  }

  /**
   * One outcome an operation, in order. A vanished device is created anew and the operations are sent once more; where that
   * is not possible all of them have failed with ENODEV and the reason. `onSend` is called each time just before they are sent.
   */
  async apply(
    operations: readonly AddressOperation[],
    onSend: () => void = () => {},
  ): Promise<readonly Outcome[]> {
    const send = async (): Promise<readonly Outcome[]> => {
      const index = await this.ensure();
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
