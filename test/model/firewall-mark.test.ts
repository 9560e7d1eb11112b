import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firewallMark, nodePortMark, nodePortOfMark, protocolOfMark } from '../../src/model/firewall-mark.js';
import { serviceKey } from '../../src/model/service.js';
import { protocolOfKey, virtualServerKey } from '../../src/model/virtual-server.js';
import { protocols } from '../../src/base/protocol.js';

const web = serviceKey('default', 'web');

test('a firewall mark stays the same from version to version: virtual servers in the kernel have it', () => {
  const marks = protocols.flatMap((protocol) =>
    (['IPv4', 'IPv6'] as const).map((family) => firewallMark(web, { protocol, port: 80 }, family)),
  );
  assert.deepEqual(marks, [387_256_616, 387_453_310, 53_354_982, 53_551_488, 953_233_829, 953_299_423]);
});

test('it tells the protocol, and keeps the sign and the bits of kubelet and kube-proxy clear', () => {
  for (const protocol of protocols)
    for (let port = 1; port < 1_000; port += 1) {
      const mark = firewallMark(web, { protocol, port }, 'IPv4');
      assert.equal(protocolOfMark(mark), protocol);
      assert.equal(mark & 0x8000_c000, 0);
      assert.equal(protocolOfKey(virtualServerKey({ by: 'fwmark', fwmark: mark, family: 'IPv4' })), protocol);
    }
});

test('marks of other programs are none: of Calico, Cilium, kubelet and small numbers', () => {
  for (const mark of [0, 5, 77, 0x4000, 0x8000, 0x4_0000, 0xfff0_0000, 0x1234_0f00, 0x1234_0c00, 0x0100])
    assert.equal(protocolOfMark(mark), undefined, String(mark));
});

test('100,000 Service ports share few marks', () => {
  const marks = new Set<number>();
  for (let index = 0; index < 100_000; index += 1)
    marks.add(firewallMark(serviceKey('shop', `web-${index}`), { protocol: 'TCP', port: 80 }, 'IPv4'));
  // A perfect hash of 23 bits is expected to lose 594.
  assert.ok(marks.size > 99_000, String(marks.size));
});

test('the mark of a node port tells its protocol and port, and no Service port has the same one', () => {
  for (const protocol of protocols)
    for (let port = 1; port <= 65_535; port += 1) {
      const mark = nodePortMark({ protocol, port });
      assert.deepEqual(nodePortOfMark(mark), { protocol, port });
      assert.equal(protocolOfMark(mark), protocol);
      assert.equal(mark & 0x8000_f000, 0, 'the bits of kubelet, of kube-proxy and of a hash are clear');
      assert.equal((mark >>> 8) & 15, 1);
    }
  for (const protocol of protocols)
    for (let port = 1; port < 1_000; port += 1)
      assert.equal(nodePortOfMark(firewallMark(web, { protocol, port }, 'IPv4')), undefined);
  for (const mark of [0, 0x0100, 0x4000, 0x0400_0101, 0x0101_4101, 0x8100_0101])
    assert.equal(nodePortOfMark(mark), undefined, String(mark));
});

test('the mark of a node port stays the same from version to version', () => {
  assert.equal(nodePortMark({ protocol: 'TCP', port: 30_080 }), 0x0175_0180);
  assert.equal(nodePortMark({ protocol: 'UDP', port: 30_080 }), 0x0275_0180);
});
