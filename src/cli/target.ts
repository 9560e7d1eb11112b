import { InputError } from '../base/errors.js';
import { parseIp, type IpAddress } from '../base/ip.js';
import type { VirtualServerIdentity } from '../model/virtual-server.js';

/** Which virtual servers somebody asks for. */
export interface Target {
  readonly address: IpAddress;
  /** Undefined: every port. */
  readonly port: number | undefined;
}

const wanted = 'a VIP ("10.96.0.1"), or a VIP with a port ("10.96.0.1:443", "[fd00::1]:443")';

const parsePort = (text: string): number => {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65535) return port;
  throw new InputError(`"${text}" is no port; ports are numbers up to 65535`);
};

/** Reads `10.96.0.1`, `10.96.0.1:443`, `fd00::1`, `[fd00::1]`, `[fd00::1]:443`. Anything else is an InputError that says what can be asked for. */
export const parseTarget = (text: string): Target => {
  const bare = parseIp(text);
  if (bare !== undefined) return { address: bare, port: undefined };
  const match = /^\[([^\]]+)\](?::(.*))?$/.exec(text) ?? /^([^:]+):(.*)$/.exec(text);
  const address = parseIp(match?.[1] ?? '');
  if (address !== undefined)
    return { address, port: match?.[2] === undefined ? undefined : parsePort(match[2]) };
  if (/^[a-z0-9.-]+\/[a-z0-9.-]+(:.+)?$/.test(text))
    throw new InputError(
      `${text} is the name of a Service, which the kernel does not know; ask for its address: ${wanted}. ` +
        `kubectl get service -n ${text.split('/')[0]} ${text.split('/')[1]?.split(':')[0]} shows it`,
    );
  throw new InputError(`"${text}" is no address of a virtual server; ask for ${wanted}`);
};

export const matchesTarget = (target: Target, identity: VirtualServerIdentity): boolean =>
  identity.by === 'address' &&
  identity.address === target.address &&
  (target.port === undefined || target.port === identity.port);
