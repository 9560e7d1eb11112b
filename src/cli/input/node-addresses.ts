import { networkInterfaces } from 'node:os';
import { InputError } from '../../base/errors.js';
import { parseCidr, parseIp } from '../../base/ip.js';
import { isServiceProxyInterface } from '../../model/instance-names.js';
import type { InterfaceAddress } from '../../model/node.js';

/** Reads `10.0.0.5/24,fd00::5/64`; InputError where one is not an address with a prefix length. */
export const parseNodeAddresses = (text: string): readonly InterfaceAddress[] =>
  text
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part) => {
      const address = parseIp(part.trim().split('/')[0] ?? '');
      const network = parseCidr(part.trim());
      if (address === undefined || network === undefined)
        throw new InputError(
          `--node-addresses: "${part.trim()}" is not a valid address with a prefix length (expected, for example, 10.0.0.5/24 or fd00::5/64)`,
        );
      return { address, prefixLength: network.prefixLength, interfaceName: 'node' };
    });

/** The addresses of this machine's interfaces that are up, without those of service proxies. */
export const localNodeAddresses = (): readonly InterfaceAddress[] =>
  Object.entries(networkInterfaces())
    .filter(([interfaceName]) => !isServiceProxyInterface(interfaceName))
    .flatMap(([interfaceName, addresses]) =>
      (addresses ?? []).flatMap(({ cidr }) => {
        const address = parseIp(cidr?.split('/')[0] ?? '');
        const network = parseCidr(cidr ?? '');
        if (address === undefined || network === undefined) return [];
        return [{ address, prefixLength: network.prefixLength, interfaceName }];
      }),
    );
