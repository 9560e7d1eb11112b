import { formatSocketAddress, ipFromBytes, type Family, type IpAddress } from '../../base/ip.js';
import type { Flow, FlowDirection, FlowQuery } from '../../model/flow.js';
import type { Decoded } from '../../netlink/codec/attributes.js';
import { ProtocolError } from '../../netlink/errors.js';
import type { Message, Request } from '../../netlink/message.js';
import { netfilterFamilies } from '../nfnetlink.js';
import { ConntrackMessage, FilterBit, flowShape } from './attributes.js';

type Tuple = Decoded<(typeof flowShape)['attributes']>['original'];

const present = <T>(value: T | undefined, name: string): T => {
  if (value === undefined) throw new ProtocolError('is missing', `flow.${name}`);
  return value;
};

const addressesOf = (
  family: Family,
  tuple: Tuple,
): { readonly source: IpAddress; readonly destination: IpAddress } => {
  const { addresses = {} } = tuple;
  const [source, destination] =
    family === 'IPv4'
      ? [addresses.source4, addresses.destination4]
      : [addresses.source6, addresses.destination6];
  return {
    source: ipFromBytes(present(source, 'source')),
    destination: ipFromBytes(present(destination, 'destination')),
  };
};

const directionFrom = (family: Family, tuple: Tuple): FlowDirection => ({
  ...addressesOf(family, tuple),
  sourcePort: present(tuple.protocol.sourcePort, 'source-port'),
  destinationPort: present(tuple.protocol.destinationPort, 'destination-port'),
});

/** The flow in a message; undefined where it does not match the query. */
export const flowFrom = (message: Message, query: FlowQuery): Flow | undefined => {
  const { header, attributes } = flowShape.read(message);
  const { family, protocol } = query;
  const { number, destinationPort } = attributes.original.protocol;
  // Before an address is converted to text: most of a large table ends here.
  if (header.family !== netfilterFamilies[family] || number !== protocol) return undefined;
  if (query.destinationPort !== undefined && query.destinationPort !== destinationPort) return undefined;
  const original = directionFrom(family, attributes.original);
  if (query.destination !== undefined && query.destination !== original.destination) return undefined;
  return {
    family,
    protocol,
    original,
    reply: directionFrom(family, present(attributes.reply, 'reply')),
    id: attributes.id,
    zone: attributes.zone ?? 0,
  };
};

const describeQuery = ({ family, protocol, destination, destinationPort }: FlowQuery): string =>
  [
    `list the ${protocol} flows of ${family}`,
    ...(destination === undefined ? [] : [`to ${destination}`]),
    ...(destinationPort === undefined ? [] : [`to port ${destinationPort}`]),
  ].join(' ');

/**
 * A dump of the flows of a query. Kernels from 5.8 on filter by CTA_FILTER; older ones ignore it and send all flows of the
 * family. IPv6 addresses are left out of the filter, because ctnetlink_filter_match_tuple inverts their comparison (seen in 6.1).
 */
export const listFlowsRequest = (query: FlowQuery): Request => {
  const { family, protocol, destinationPort } = query;
  const destination = family === 'IPv4' ? query.destination : undefined;
  const bits =
    FilterBit.protocol |
    (destination === undefined ? 0 : FilterBit.destination) |
    (destinationPort === undefined ? 0 : FilterBit.destinationPort);
  return {
    type: ConntrackMessage.get,
    flags: 0,
    operation: () => describeQuery(query),
    shape: flowShape,
    write: (writer) =>
      flowShape.write(
        writer,
        { family: netfilterFamilies[family] },
        {
          original: {
            addresses: destination === undefined ? undefined : { destination4: destination },
            protocol: { number: protocol, destinationPort },
          },
          filter: { original: bits, reply: 0 },
        },
      ),
  };
};

/** `TCP 192.0.2.2:40000 → 10.96.0.10:80`, of the original direction. */
export const formatFlow = ({ protocol, original }: Flow): string =>
  `${protocol} ${formatSocketAddress(original.source, original.sourcePort)} → ${formatSocketAddress(original.destination, original.destinationPort)}`;

/** Deletes exactly this entry: ENOENT where it has ended, even if another flow has its addresses and ports by now (and therefore another id). */
export const deleteFlowRequest = (flow: Flow): Request => ({
  type: ConntrackMessage.delete,
  flags: 0,
  operation: () => `delete the flow ${formatFlow(flow)}`,
  shape: flowShape,
  write: (writer) => {
    const { family, protocol, original, id, zone } = flow;
    const { source, destination, sourcePort, destinationPort } = original;
    flowShape.write(
      writer,
      { family: netfilterFamilies[family] },
      {
        original: {
          addresses:
            family === 'IPv4'
              ? { source4: source, destination4: destination }
              : { source6: source, destination6: destination },
          protocol: { number: protocol, sourcePort, destinationPort },
        },
        id,
        zone: zone === 0 ? undefined : zone,
      },
    );
  },
});
