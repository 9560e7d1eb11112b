import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rt } from 'netlink';
import type { IpAddress } from '../../src/base/ip.js';
import {
  addressFrom,
  addressRequest,
  createDummyRequest,
  deleteLinkRequest,
  getAddressesRequest,
  getLinkRequest,
  linkFrom,
} from '../../src/kernel/rtnetlink/convert.js';
import { rtnetlinkEventFrom } from '../../src/kernel/rtnetlink/events.js';
import { foreignLocalRouteFrom, vipOfRoute, vipRouteRequest } from '../../src/kernel/rtnetlink/vip-routes.js';
import { ByteWriter, viewOf } from '../../src/netlink/codec/bytes.js';
import { readMessages, writeMessage, type Message, type Request } from '../../src/netlink/message.js';
import { flatten, messagesIn, readCapture, type FlatMessage } from '../support/captures.js';
import { messageBytes } from '../support/fake-channel.js';

const linkHeaderLength = 16;
const addressHeaderLength = 8;
const routeHeaderLength = 12;

const messageOf = (request: Request): Message => {
  const writer = new ByteWriter();
  writeMessage(writer, request, request.flags | 1, 1);
  const bytes = writer.written().slice();
  const [message] = [...readMessages(viewOf(bytes), bytes.length)];
  assert.ok(message !== undefined);
  return message;
};
const ours = (request: Request, headerLength: number): FlatMessage =>
  flatten(messageOf(request), headerLength, ['18']);
/** The last message that `ip` sent: those before it look for the interface. */
const theirs = (name: string, headerLength: number): FlatMessage => {
  const message = messagesIn(readCapture(`rtnetlink/${name}`).sent.at(-1) ?? new Uint8Array(0)).at(-1);
  assert.ok(message !== undefined);
  return flatten(message, headerLength, ['18']);
};

const bind = (address: string): Request =>
  addressRequest(2, { kind: 'bind-address', address: address as IpAddress, binding: 'address' });
const unbind = (address: string): Request =>
  addressRequest(2, { kind: 'unbind-address', address: address as IpAddress, binding: 'address' });

describe('each message is what ip sends, attribute for attribute', () => {
  test('ip link add kube-ipvs0 type dummy, but for the length of the transmit queue that kube-proxy sets to 0', () => {
    const { attributes, ...rest } = theirs('link-add', linkHeaderLength);
    assert.deepEqual(ours(createDummyRequest('kube-ipvs0'), linkHeaderLength), {
      ...rest,
      // IFLA_TXQLEN; ip leaves the NUL of IFLA_INFO_KIND out, libraries do not.
      attributes: { ...attributes, 13: '00000000', '18.1': `${attributes['18.1']}00` },
    });
  });

  test('ip link del kube-ipvs0', () => {
    assert.deepEqual(ours(deleteLinkRequest(2), linkHeaderLength), theirs('link-delete', linkHeaderLength));
  });

  test('ip addr add 10.96.0.10/32', () => {
    assert.deepEqual(
      ours(bind('10.96.0.10'), addressHeaderLength),
      theirs('address-add4', addressHeaderLength),
    );
  });

  test('ip addr add 2001:db8:96::10/128', () => {
    assert.deepEqual(
      ours(bind('2001:db8:96::10'), addressHeaderLength),
      theirs('address-add6', addressHeaderLength),
    );
  });

  for (const [family, address] of [
    ['4', '10.96.0.10'],
    ['6', '2001:db8:96::10'],
  ] as const)
    for (const [name, kind] of [
      ['add', 'bind-address'],
      ['delete', 'unbind-address'],
    ] as const)
      test(`ip route ${name} local ${address} dev lo table local proto 73 metric 73, but for the scope of IPv6, which has none`, () => {
        const request = vipRouteRequest(
          { kind, address: address as IpAddress, binding: 'route' },
          defaultInstance.routeMetric,
        );
        const { header, ...rest } = theirs(`route-${name}${family}`, routeHeaderLength);
        assert.deepEqual(ours(request, routeHeaderLength), {
          ...rest,
          header: family === '6' ? header.replace(/^(.{12})fe/, '$100') : header,
        });
      });

  test('ip link show dev kube-ipvs0, but for virtual functions, which are not asked for', () => {
    const capture = readCapture('rtnetlink/link-show');
    const first = messagesIn(capture.sent[0] ?? new Uint8Array(0))[0];
    assert.ok(first !== undefined);
    const { attributes, ...rest } = flatten(first, linkHeaderLength, []);
    assert.equal(attributes['29'], '09000000');
    assert.deepEqual(ours(getLinkRequest('kube-ipvs0'), linkHeaderLength), {
      ...rest,
      attributes: { ...attributes, 29: '08000000' },
    });
  });

  test('ip link show, but for the family AF_PACKET, which changes nothing', () => {
    const { attributes, flags, header, ...rest } = theirs('link-show-all', linkHeaderLength);
    assert.deepEqual([Object.keys(attributes), flags & 0x300], [['29'], 0x300]);
    assert.deepEqual(ours(getLinkRequest(), linkHeaderLength), {
      ...rest,
      flags: flags & ~0x300,
      header: header.replace(/^11/, '00'),
      attributes: { 29: '08000000' },
    });
  });
});

describe('what the kernel told ip we read', () => {
  const dummy = { index: 2, name: 'kube-ipvs0', kind: 'dummy', up: false };
  const loopback = { index: 1, name: 'lo', kind: undefined, up: true };

  test('ip link show dev kube-ipvs0', () => {
    const [message] = messagesIn(readCapture('rtnetlink/link-show').received[0] ?? new Uint8Array(0));
    assert.ok(message !== undefined);
    assert.deepEqual(linkFrom(message), dummy);
    assert.deepEqual(rtnetlinkEventFrom(message, new Map(), defaultInstance.routeMetric), {
      kind: 'link',
      link: dummy,
    });
  });

  test('ip route show table local: ours, and none of the kernel', () => {
    for (const [name, vip] of [
      ['route-show-all4', '10.96.0.10'],
      ['route-show-all6', '2001:db8:96::10'],
    ] as const) {
      const messages = readCapture(`rtnetlink/${name}`)
        .received.flatMap(messagesIn)
        .filter(({ type }) => type === 24);
      assert.ok(messages.length > 1);
      assert.deepEqual(
        messages.flatMap((message) => vipOfRoute(message, defaultInstance.routeMetric) ?? []),
        [vip],
      );
      assert.deepEqual(
        messages.flatMap((message) => foreignLocalRouteFrom(message) ?? []),
        [],
      );
    }
  });

  test('ip monitor route: a local route of ours comes and goes; the route of an address is none', () => {
    const messages = readCapture('rtnetlink/monitor-route').received.flatMap(messagesIn);
    const events = messages
      .filter(({ type }) => type === 24 || type === 25)
      .map((message) => rtnetlinkEventFrom(message, new Map(), defaultInstance.routeMetric));
    assert.deepEqual(events, [
      { kind: 'route', vip: '10.96.0.10' },
      undefined,
      { kind: 'route-gone', vip: '10.96.0.10' },
    ]);
  });

  test('ip link show', () => {
    const messages = readCapture('rtnetlink/link-show-all').received.flatMap(messagesIn);
    assert.deepEqual(messages.filter((message) => message.type === 16).map(linkFrom), [loopback, dummy]);
  });
});

/** Both codecs of npm `netlink` for the same structures. */
const parsedByPackage = (message: Message): { data: object; attrs: object } => {
  const body = Buffer.from(
    message.view.buffer as ArrayBuffer,
    message.view.byteOffset + message.bodyOffset,
    message.bodyLength,
  );
  const parse = rt.parseMessage as (type: number, body: Buffer) => object;
  const { data, attrs } = parse(message.type, body) as { data: object; attrs: object };
  return { data, attrs };
};

describe('npm netlink reads our messages as we mean them', () => {
  test('an IPv4 address', () => {
    const { data, attrs } = parsedByPackage(messageOf(bind('10.96.0.10')));
    assert.deepEqual(data, { family: 2, prefixlen: 32, flags: {}, scope: 0, index: 2 });
    assert.deepEqual(attrs, { local: Buffer.of(10, 96, 0, 10), address: Buffer.of(10, 96, 0, 10) });
  });

  test('the removal of an IPv6 address', () => {
    const message = messageOf(unbind('fd00::1'));
    const { data, attrs } = parsedByPackage(message);
    const bytes = Buffer.from('fd000000000000000000000000000001', 'hex');
    assert.equal(message.type, 21);
    assert.deepEqual(data, { family: 10, prefixlen: 128, flags: {}, scope: 0, index: 2 });
    assert.deepEqual(attrs, { local: bytes, address: bytes });
  });

  test('a new dummy interface', () => {
    const { attrs } = parsedByPackage(messageOf(createDummyRequest('kube-ipvs0')));
    assert.deepEqual(attrs, {
      ifname: 'kube-ipvs0',
      txqlen: 0,
      linkinfo: Buffer.from('0a00010064756d6d79000000', 'hex'),
    });
  });
});

describe('we read what npm netlink writes', () => {
  const message = (type: number, ...parts: Uint8Array[]): Message => {
    const bytes = messageBytes({
      type,
      sequence: 1,
      body: (writer) => parts.forEach((part) => writer.bytes(part)),
    });
    const [read] = messagesIn(bytes);
    assert.ok(read !== undefined);
    return read;
  };
  const attribute = (type: number, value: Uint8Array): Uint8Array => {
    const writer = new ByteWriter();
    writer.u16(4 + value.length);
    writer.u16(type);
    writer.bytes(value);
    writer.pad();
    return writer.written().slice();
  };

  test('an address', () => {
    const header = rt.formatAddress({ family: 2, prefixlen: 24, scope: 0, index: 3 });
    assert.deepEqual(
      addressFrom(message(20, header, attribute(1, Buffer.of(10, 0, 0, 9))), (index) => `eth${index}`),
      { address: '10.0.0.9', prefixLength: 24, interfaceIndex: 3, interfaceName: 'eth3' },
    );
  });

  test('a point-to-point address: our end is the local one', () => {
    const header = rt.formatAddress({ family: 2, prefixlen: 32, scope: 0, index: 3 });
    const far = attribute(1, Buffer.of(10, 0, 0, 2));
    const near = attribute(2, Buffer.of(10, 0, 0, 1));
    assert.equal(addressFrom(message(20, header, far, near), () => '')?.address, '10.0.0.1');
  });

  test('an IPv6 address', () => {
    const header = rt.formatAddress({ family: 10, prefixlen: 128, scope: 0, index: 4 });
    const bytes = Buffer.from('fd000000000000000000000000000009', 'hex');
    assert.deepEqual(
      addressFrom(message(20, header, attribute(3, Buffer.from('x\0')), attribute(1, bytes)), () => 'eth4'),
      { address: 'fd00::9', prefixLength: 128, interfaceIndex: 4, interfaceName: 'eth4' },
    );
  });

  for (const [problem, ...attributes] of [
    ['address.address: 5 bytes of IPv4', attribute(1, Buffer.of(10, 0, 0, 9, 1))],
    ['address.address: is missing'],
  ] as const)
    test(problem, () => {
      const header = rt.formatAddress({ family: 2, prefixlen: 24, scope: 0, index: 3 });
      assert.throws(() => addressFrom(message(20, header, ...attributes), () => ''), { message: problem });
    });

  test('a link', () => {
    const header = rt.formatLink({ family: 0, index: 7, flags: { up: true }, change: {} });
    assert.deepEqual(linkFrom(message(16, header, attribute(3, Buffer.from('eth0\0')))), {
      index: 7,
      name: 'eth0',
      kind: undefined,
      up: true,
    });
  });

  test('what bridges say of their ports with the same messages is no link', () => {
    const header = rt.formatLink({ family: 7, index: 7 });
    const bridged = message(16, header, attribute(3, Buffer.from('eth0\0')));
    assert.equal(linkFrom(bridged), undefined);
    assert.equal(rtnetlinkEventFrom(bridged, new Map(), defaultInstance.routeMetric), undefined);
  });
});

test('a request to list all addresses is a whole header, as strict checking wants it', () => {
  assert.equal(messageOf(getAddressesRequest).bodyLength, addressHeaderLength);
});
