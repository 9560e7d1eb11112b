import { flowShape } from '../../src/kernel/conntrack/attributes.js';
import { kernelProtocol } from '../../src/kernel/rtnetlink/vip-routes.js';
import { setShape as ipsetShape } from '../../src/kernel/ipset/client.js';
import { Command, messageAttributes } from '../../src/kernel/ipvs/attributes.js';
import {
  chainShape,
  elementsShape,
  generation,
  NftablesMessage,
  ruleShape,
  tableShape,
} from '../../src/kernel/nftables/attributes.js';
import { valuesOf } from '../../src/kernel/nftables/expressions.js';
import { requestsFor } from '../../src/kernel/nftables/requests.js';
import { commentBytes, UserData, writeUserData } from '../../src/kernel/nftables/user-data.js';
import { nfnetlinkHeader } from '../../src/kernel/nfnetlink.js';
import {
  addressShape,
  linkShape,
  localTable,
  routeAttributes,
  routeHeader,
  RouteMessage,
} from '../../src/kernel/rtnetlink/attributes.js';
import type { Expression } from '../../src/nftables/declarations.js';
import { bytesAt, hex, type ByteWriter } from '../../src/netlink/codec/bytes.js';
import { MessageFlag } from '../../src/netlink/constants.js';
import { controlAttributes, ControlCommand, controlFamilyId } from '../../src/netlink/generic-family.js';
import type { Message } from '../../src/netlink/message.js';
import { writeAllAttributes } from './attribute-sets.js';
import { acknowledgementBytes, doneBytes, FakeChannel, messageBytes } from './fake-channel.js';
import { vipRouteProtocol } from '../../src/model/settings/vip-binding.js';
import { ip } from './objects.js';

// A kernel with numbered objects of every kind that we dump.

type Body = (writer: ByteWriter) => void;
type Object = (number: number) => Body;

const ipvsFamilyId = 20;

const generic =
  (command: number, values: Readonly<Record<string, unknown>>): Body =>
  (writer) => {
    writer.u32(command | 0x100);
    writeAllAttributes(writer, messageAttributes, values);
  };

const counters = Object.fromEntries(
  [
    'connections',
    'inPackets',
    'outPackets',
    'inBytes',
    'outBytes',
    'connectionsPerSecond',
    'inPacketsPerSecond',
    'outPacketsPerSecond',
    'inBytesPerSecond',
    'outBytesPerSecond',
  ].map((name) => [name, 1n]),
);
const address = (number: number): Uint8Array =>
  Uint8Array.of(10, 96, 0, number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

const virtualServer: Object = (number) =>
  generic(Command.newService, {
    service: {
      family: 'IPv4',
      protocol: 'TCP',
      address: address(number),
      port: 80,
      scheduler: 'rr',
      flags: { flags: 0, mask: 0xffffffff },
      timeoutSeconds: 0,
      netmask: Uint8Array.of(255, 255, 255, 255),
      statistics64: counters,
    },
  });
const realServer: Object = (number) =>
  generic(Command.newDestination, {
    destination: {
      family: 'IPv4',
      address: address(number),
      port: 8080,
      forwarding: 'masquerade',
      weight: 1,
      upperThreshold: 0,
      lowerThreshold: 0,
      activeConnections: 0,
      inactiveConnections: 0,
      persistentConnections: 0,
      statistics64: counters,
    },
  });

const syncDaemon: Object = (number) =>
  generic(Command.newDaemon, {
    daemon: {
      role: 'master',
      interface: `eth${number}`,
      syncId: number,
      address: address(number),
      port: 8848,
      ttl: 1,
    },
  });

const ipvsObjects: ReadonlyMap<number, Object> = new Map([
  [Command.getService, virtualServer],
  [Command.getDestination, realServer],
  [Command.getDaemon, syncDaemon],
]);

const link: Object = (number) => (writer) =>
  linkShape.write(writer, { family: 'unspecified', index: number }, { name: `eth${number}` });
const linkAddress: Object = (number) => (writer) =>
  addressShape.write(
    writer,
    { family: 'IPv4', prefixLength: 32, index: number },
    { address: ip(`10.0.0.${number}`) },
  );
const route: Object = (number) => (writer) => {
  routeHeader.write(writer, { family: 'IPv4', type: 'unicast' });
  writeAllAttributes(writer, routeAttributes, { gateway: Uint8Array.of(192, 0, 2, number) });
};
const localRoute =
  (protocol: number): Object =>
  (number) =>
  (writer) => {
    routeHeader.write(writer, {
      family: 'IPv4',
      destinationLength: 32,
      table: localTable,
      protocol,
      type: 'local',
    });
    writeAllAttributes(writer, routeAttributes, {
      destination: ip(`10.96.0.${number}`),
      priority: vipRouteProtocol,
    });
  };
/** RTPROT_STATIC */
const staticProtocol = 4;

const flow: Object = (number) => (writer) => {
  const original = {
    addresses: { source4: ip(`192.0.2.${number}`), destination4: ip('10.96.0.10') },
    protocol: { number: 'UDP' as const, sourcePort: 4000, destinationPort: 53 },
  };
  nfnetlinkHeader.write(writer, { family: 'ip' });
  writeAllAttributes(writer, flowShape.attributes, { original, reply: original, id: number });
};

const ipset: Object = (number) => (writer) => {
  nfnetlinkHeader.write(writer, { family: 'unspecified' });
  const members = [{ port: 30_000 + number }];
  writeAllAttributes(writer, ipsetShape.attributes, { protocol: 6, name: `KUBE-${number}`, members });
};

/** Of nftables everything is in one table. */
export const dumpedTable = 'filter';

const dormantTable: Object = (number) => (writer) =>
  tableShape.write(writer, { family: 'ip' }, { name: `dormant${number}`, flags: 1 });
const chain: Object = (number) => (writer) =>
  chainShape.write(
    writer,
    { family: 'ip' },
    {
      table: dumpedTable,
      name: `KUBE-${number}`,
      hook: { hook: 'forward', priority: number },
      policy: 'accept',
      type: 'filter',
    },
  );
const ruleIn = (
  inChain: string,
  handle: number,
  expressions: readonly Expression[],
  comment: string,
): Body => {
  const userData = writeUserData([[UserData.ruleComment, commentBytes(comment)]]);
  return (writer) => {
    ruleShape.write(
      writer,
      { family: 'ip' },
      {
        table: dumpedTable,
        chain: inChain,
        expressions: expressions.map((expression) => valuesOf(expression, 'IPv4')),
        userData,
      },
    );
    // NFTA_RULE_HANDLE
    writer.u16(12);
    writer.u16(3);
    writer.u32(0);
    writer.u32(new DataView(Uint8Array.of(0, 0, 0, handle).buffer).getUint32(0, true));
  };
};
/** One that asks a map for the state of a connection, and one with our comment that jumps to a chain. */
const rules: readonly Object[] = [
  (number) =>
    ruleIn(
      'KUBE-2',
      10 + number,
      [
        { kind: 'ct', key: 'state', to: 0 },
        { kind: 'verdict-map', set: 'states', from: 0 },
      ],
      `rule ${number}`,
    ),
  (number) =>
    ruleIn(
      'INPUT',
      number,
      [{ kind: 'verdict', verdict: 'jump', chain: `KUBE-${number}` }],
      'kube-ipvs: answers of pods',
    ),
];
const setDeclaration: Object = (number) => {
  const sets = [{ name: `set${number}`, key: ['address'] as const, verdicts: false, comment: '' }];
  const declaration = { family: 'IPv4', name: dumpedTable, sets, chains: [] } as const;
  const request = requestsFor({ kind: 'declare-table', declaration }).find(
    ({ type }) => type === NftablesMessage.newSet,
  );
  return (writer) => request?.write(writer);
};
/** Number 2 is the state `established`. */
const element: Object = (number) => (writer) =>
  elementsShape.write(
    writer,
    { family: 'ip' },
    {
      table: dumpedTable,
      set: 'states',
      elements: [
        {
          key: { value: new Uint8Array(Uint32Array.of(number).buffer) },
          data: { verdict: { code: 'accept' } },
        },
      ],
    },
  );

const netlinkMessages: ReadonlyMap<number, readonly Object[]> = new Map([
  [RouteMessage.getLink, [link]],
  [RouteMessage.getAddress, [linkAddress]],
  [
    RouteMessage.getRoute,
    [route, localRoute(vipRouteProtocol), localRoute(staticProtocol), localRoute(kernelProtocol)],
  ],
  [0x101, [flow]],
  [0x607, [ipset]],
  [NftablesMessage.getTable, [dormantTable]],
  [NftablesMessage.getChain, [chain]],
  [NftablesMessage.getRule, rules],
  [NftablesMessage.getSet, [setDeclaration]],
  [NftablesMessage.getElements, [element]],
]);

const dumped = ({ type, view, bodyOffset }: Message): readonly Object[] => {
  if (type !== ipvsFamilyId) return netlinkMessages.get(type) ?? [];
  const object = ipvsObjects.get(view.getUint8(bodyOffset));
  return object === undefined ? [] : [object];
};

/** What is no dump: the number of a family, of a generation, a table. */
const single = ({ type, sequence }: Message): Uint8Array =>
  messageBytes({
    type,
    sequence,
    body: (writer) => {
      if (type === controlFamilyId) {
        writer.u32(ControlCommand.newFamily);
        writeAllAttributes(writer, controlAttributes, { familyId: ipvsFamilyId });
        return;
      }
      nfnetlinkHeader.write(writer, { family: 'ip' });
      if (type === NftablesMessage.getGeneration) writeAllAttributes(writer, generation, { id: 1 });
      else tableShape.attributes.write(writer, { name: dumpedTable });
    },
  });

interface DumpedNumbers {
  /** What the first pass of every dump tells, which is interrupted. Undefined: no pass is. */
  readonly before?: readonly number[];
  readonly after: readonly number[];
}

/** Has a change in every dump, or none. */
export class DumpingKernel {
  readonly channel = new FakeChannel((messages) => {
    const [message, second] = messages;
    if (message === undefined) return [];
    return second === undefined ? this.#answer(message) : this.#transact(messages);
  });
  /** How many passes were interrupted. */
  interruptions = 0;
  /** What the kernel says to the next transactions, to their first requests; it makes the others. */
  refusals: number[] = [];
  transactions = 0;
  /** Dumps whose next pass is the second one. */
  readonly #begun = new Set<string>();

  constructor(private readonly numbers: DumpedNumbers) {}

  #answer(message: Message): readonly Uint8Array[] {
    const { type, flags, sequence } = message;
    if ((flags & MessageFlag.dump) !== MessageFlag.dump) return [single(message)];
    const { before = [], after } = this.numbers;
    const interrupted = before.length > 0 && this.#isFirstPass(message);
    const bodies = (interrupted ? before : after).flatMap((number) =>
      dumped(message).map((object) => object(number)),
    );
    const datagrams = bodies.map((body, index) => {
      // The kernel notices at the message that follows the change.
      const interruption = interrupted && index > 0 ? MessageFlag.dumpInterrupted : 0;
      return messageBytes({ type, sequence, flags: MessageFlag.multi | interruption, body });
    });
    return [...datagrams, doneBytes(sequence)];
  }

  #transact([, first, ...rest]: readonly Message[]): readonly Uint8Array[] {
    this.transactions += 1;
    const refusal = this.refusals.shift();
    if (first === undefined) return [];
    if (refusal !== undefined) return [acknowledgementBytes(first, refusal)];
    return [first, ...rest]
      .filter(({ flags }) => (flags & MessageFlag.acknowledge) !== 0)
      .map((message) => acknowledgementBytes(message, 0));
  }

  #isFirstPass({ type, view, bodyOffset, bodyLength }: Message): boolean {
    const dump = `${type} ${hex(bytesAt(view, bodyOffset, bodyLength), bodyLength)}`;
    if (this.#begun.delete(dump)) return false;
    this.#begun.add(dump);
    this.interruptions += 1;
    return true;
  }
}
