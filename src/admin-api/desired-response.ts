import { hostPrefixLength, parseIp, type Family, type IpAddress } from '../base/ip.js';
import {
  markElement,
  setElement,
  type ElementKey,
  type KeyValue,
  type SetElement,
} from '../nftables/declarations.js';
import type { Protocol } from '../base/protocol.js';
import {
  familyOfServer,
  realServerKey,
  virtualServerKey,
  type RealServer,
  type VirtualServerIdentity,
  type VirtualServerFlag,
  type VirtualServerKey,
  type DesiredVirtualServer,
} from '../model/virtual-server.js';
import { protocolOfMark } from '../model/firewall-mark.js';
import { vipBindings, type VipBindings } from '../model/settings/vip-binding.js';
import type { DirtyKeys, DesiredView } from '../plan/operations/diff.js';
import type { DrainSettings } from '../plan/drain/drain-step.js';
import type { Urgency } from '../plan/operations/phases.js';
import type { RealServerJson, VirtualServerJson } from '../plan/output/ipvs-table-formats.js';

/** `GET /v1/wanted`: the desired state of this node in the format of `render -o json`, without draining real servers. */
export interface DesiredResponse {
  readonly version: 1;
  readonly virtualServers: Readonly<Record<string, VirtualServerJson>>;
  readonly dummyAddresses: readonly string[];
  /** The VIPs that are local routes (vips.binding: route). Older daemons do not report it. */
  readonly localRoutes?: readonly string[];
  /** Elements of the packet rules: `IPv4 external 192.0.2.10 . TCP . 30080`. */
  readonly elements: readonly string[];
  /** Objects that no Service requests any more; they stay until their connections are closed. */
  readonly lingering: {
    readonly virtualServers: Readonly<Record<string, VirtualServerJson>>;
    readonly dummyAddresses: readonly string[];
    readonly localRoutes?: readonly string[];
    readonly elements: readonly string[];
  };
  /** How long real servers may drain; 0: not at all. `byVirtualServer` has those that differ from their protocol. */
  readonly drainSeconds: {
    readonly byProtocol: { readonly TCP: number; readonly UDP: number; readonly SCTP: number };
    readonly byVirtualServer: Readonly<Record<string, number>>;
  };
  /** kube-ipvs does not change other programs' objects in these networks. */
  readonly excludeCidrs: readonly string[];
  /** By family: the packet rules without their elements, similar to `nft list table`. */
  readonly packetTables: Readonly<Record<string, string>>;
  /** Required settings that have another value; `found` is absent if it cannot be read. */
  readonly kernelSettings: readonly {
    readonly name: string;
    readonly wanted: number;
    readonly found?: number;
  }[];
}

/** Reads `10.0.0.1:80` and `[fd00::1]:80`. */
export const parseSocketAddress = (text: string): { readonly address: IpAddress; readonly port: number } => {
  const at = text.lastIndexOf(':');
  const address = parseIp(text.slice(0, at).replaceAll(/[[\]]/g, ''));
  if (address === undefined) throw new TypeError(`"${text}" is not a valid address with a port`);
  return { address, port: Number(text.slice(at + 1)) };
};

const toRealServer = (key: string, json: RealServerJson): RealServer => {
  const { address, port } = parseSocketAddress(key);
  const { weight, forwarding, upperThreshold = 0, lowerThreshold = 0 } = json;
  return {
    key: realServerKey(address, port),
    address,
    port,
    weight,
    forwarding,
    upperThreshold,
    lowerThreshold,
  };
};

/** `FWM 387256616 IPv4`. */
const parseFirewallMarkKey = (mark: number, family: string): VirtualServerIdentity | undefined =>
  protocolOfMark(mark) !== undefined && (family === 'IPv4' || family === 'IPv6')
    ? { by: 'fwmark', fwmark: mark, family }
    : undefined;

/**
 * Reads `TCP 10.96.0.1:443` and `FWM 387256616 IPv4`; undefined for the key of a virtual server on a firewall mark of
 * another program.
 */
export const parseVirtualServerKey = (key: string): VirtualServerIdentity | undefined => {
  const [protocol = '', socketText = '', ...rest] = key.split(' ');
  if (protocol === 'FWM' && rest.length === 1) return parseFirewallMarkKey(Number(socketText), rest[0] ?? '');
  if (rest.length > 0 || !['TCP', 'UDP', 'SCTP'].includes(protocol)) return undefined;
  return { by: 'address', protocol: protocol as Protocol, ...parseSocketAddress(socketText) };
};

/** Reads a virtual server with its real servers. */
export const virtualServerFromJson = (
  key: string,
  json: VirtualServerJson,
  drainSeconds?: number,
): DesiredVirtualServer => {
  const identity = parseVirtualServerKey(key);
  if (identity === undefined)
    throw new TypeError(`"${key}" is not a valid key of a virtual server of kube-ipvs`);
  const realServers = Object.entries(json.realServers).map(([real, of]) => toRealServer(real, of));
  const whole = hostPrefixLength(familyOfServer(identity));
  return {
    server: {
      key: virtualServerKey(identity),
      identity,
      scheduler: json.scheduler,
      persistence:
        json.persistent === undefined
          ? undefined
          : { seconds: json.persistent, prefixLength: json.persistentPrefixLength ?? whole },
      flags: (json.flags ?? []) as readonly VirtualServerFlag[],
    },
    realServers: new Map(realServers.map((server) => [server.key, server])),
    drainMilliseconds: drainSeconds === undefined ? undefined : drainSeconds * 1_000,
  };
};

const parseField = (text: string): KeyValue =>
  /^\d+$/.test(text) ? Number(text) : (text as IpAddress | Protocol);

/** Reads the key of an element. The key does not contain the chain, which depends on the set. */
export const parseElementKey = (key: string): SetElement => {
  const [head = '', mark] = key.split(' : ');
  const [family = '', set = '', ...words] = head.split(' ');
  const fields = words.filter((word) => word !== '.').map(parseField);
  return mark === undefined
    ? setElement(family as Family, set, fields)
    : markElement(family as Family, set, fields, Number(mark));
};

/** Reads `10.96.0.1/32`. */
const hostAddresses = (texts: readonly string[]): ReadonlySet<IpAddress> =>
  new Set(texts.map((text) => text.split('/', 1)[0] as IpAddress));

/** No object takes precedence. */
const noUrgency: Urgency = { virtualServer: () => false, address: () => false, element: () => false };

/** The desired state that a daemon reports, orphaned virtual servers included. */
export class DesiredFromResponse implements DesiredView {
  readonly #virtualServers: ReadonlyMap<VirtualServerKey, DesiredVirtualServer>;
  readonly #addresses: ReadonlySet<IpAddress>;
  readonly #routes: ReadonlySet<IpAddress>;
  readonly #elements: ReadonlyMap<ElementKey, SetElement>;
  readonly urgency = noUrgency;
  readonly drainSettings: DrainSettings;

  constructor(response: DesiredResponse) {
    const { virtualServers, dummyAddresses, localRoutes = [], elements, lingering, drainSeconds } = response;
    const desiredServers = Object.entries({ ...lingering.virtualServers, ...virtualServers }).map(
      ([key, json]) => virtualServerFromJson(key, json, drainSeconds.byVirtualServer[key]),
    );
    this.#virtualServers = new Map(desiredServers.map((table) => [table.server.key, table]));
    this.#addresses = hostAddresses([...dummyAddresses, ...lingering.dummyAddresses]);
    this.#routes = hostAddresses([...localRoutes, ...(lingering.localRoutes ?? [])]);
    this.#elements = new Map(
      [...elements, ...lingering.elements].map(parseElementKey).map((element) => [element.key, element]),
    );
    const { TCP, UDP, SCTP } = drainSeconds.byProtocol;
    this.drainSettings = { deadlines: { TCP: TCP * 1_000, UDP: UDP * 1_000, SCTP: SCTP * 1_000 } };
  }

  virtualServer(key: VirtualServerKey): DesiredVirtualServer | undefined {
    return this.#virtualServers.get(key);
  }

  bindings(address: IpAddress): VipBindings {
    return vipBindings({ address: this.#addresses.has(address), route: this.#routes.has(address) });
  }

  element(key: ElementKey): SetElement | undefined {
    return this.#elements.get(key);
  }

  keys(): DirtyKeys {
    return {
      virtualServers: new Set(this.#virtualServers.keys()),
      addresses: new Set([...this.#addresses, ...this.#routes]),
      elements: new Set(this.#elements.keys()),
    };
  }
}
