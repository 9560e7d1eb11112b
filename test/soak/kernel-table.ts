import { readFileSync } from 'node:fs';
import { parseConnection } from '../../src/cli/dump/connection-table.js';

/** An address and port as /proc/net/ip_vs writes them, as `0A600001:0050`. */
export type RealServerText = string;

export const realServerText = (address: string, port: number): RealServerText => {
  const bytes = address.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'));
  return `${bytes.join('')}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
};

/** The same of an IPv6 address that ends with a part of its own after `::`, as `[fd00:0244:…:0011]:1F90`. */
export const realServerText6 = (address: string, port: number): RealServerText => {
  const [before = '', after = ''] = address.split('::');
  const [head, tail] = [before, after].map((text) => text.split(':').filter((part) => part !== ''));
  const parts = [
    ...(head ?? []),
    ...Array<string>(8 - (head?.length ?? 0) - (tail?.length ?? 0)).fill('0'),
    ...(tail ?? []),
  ].map((part) => part.padStart(4, '0'));
  return `[${parts.join(':')}]:${port.toString(16).padStart(4, '0').toUpperCase()}`;
};

/** The weights that a real server has, by virtual server, in this network namespace. */
export const weightsOf = (realServer: RealServerText): ReadonlyMap<string, number> => {
  const weights = new Map<string, number>();
  let virtual = '';
  for (const line of readFileSync('/proc/net/ip_vs', 'latin1').split('\n')) {
    const [first, second = '', , weight] = line.trim().split(/\s+/);
    if (first === '->') {
      if (second === realServer) weights.set(virtual, Number(weight));
    } else virtual = second;
  }
  return weights;
};

/** In all other states of a TCP connection, one side has said that it sends no more. */
const openStates = new Set(['SYN_RECV', 'ESTABLISHED']);

/**
 * The clients of the TCP connections to a real server, as `10.244.0.11:8080`, in this network namespace that are not answered to the
 * end. A connection is among them from its first packet on, before the program of the real server accepts it.
 */
export const openClientsOf = (realServer: string): readonly string[] =>
  readFileSync('/proc/net/ip_vs_conn', 'latin1')
    .split('\n')
    .flatMap((line) => {
      const connection = parseConnection(line);
      const isOpen = connection?.real === realServer && openStates.has(connection.state);
      return isOpen ? [connection.client] : [];
    });
