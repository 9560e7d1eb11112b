// VIPs as local routes (vips.binding: route), and the change of the binding: over the fake kernel, in virtual time.
import { defaultInstance } from '../../src/model/instance-names.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VipBinding } from '../../src/model/settings/vip-binding.js';
import { errnoNumber } from '../support/errnos.js';
import { ip, ready, service, slice } from '../support/objects.js';
import { ProductionNode } from '../support/production-node.js';

const [vip, vip6] = ['10.96.0.1', 'fd00:96::1'];
const web = service('web', { clusterIPs: [vip, vip6], ipFamilies: ['IPv4', 'IPv6'] });
const slices = [slice('web', [ready('10.1.0.1')])];
const bothAddresses = ['10.96.0.1/32', 'fd00:96::1/128'];

const servingWeb = async (vipBinding: VipBinding): Promise<ProductionNode> => {
  const node = await ProductionNode.start({ settings: { vipBinding } });
  await node.change(web.key, web, slices);
  return node;
};

/** Of VIPs. */
const bindingChanges = (changes: readonly string[]): readonly string[] =>
  changes.filter((line) => / (address|local route) /.test(line));

test('a VIP is a local route, and no address', async () => {
  await using node = await servingWeb('route');
  assert.deepEqual([node.routes, node.addresses], [bothAddresses, []]);
  await node.change(web.key, undefined, []);
  assert.deepEqual(node.routes, []);
});

for (const [from, to] of [
  ['address', 'route'],
  ['route', 'address'],
] as const)
  for (const how of ['at once', 'by a restart'])
    test(`from ${from} to ${to} ${how}: every VIP has its new binding before the old one ends`, async () => {
      await using node = await servingWeb(from);
      if (how === 'by a restart') await node.stop();
      const changed = await node.changeSettings({ vipBinding: to });
      const changes = how === 'at once' ? changed : await node.restart();
      const word = { address: 'address', route: 'local route' };
      assert.deepEqual(bindingChanges(changes), [
        ...bothAddresses.map((text) => `+ ${word[to]} ${text}`),
        ...bothAddresses.map((text) => `- ${word[from]} ${text}`),
      ]);
      assert.deepEqual(
        [node.routes, node.addresses],
        to === 'route' ? [bothAddresses, []] : [[], bothAddresses],
      );
    });

test('a VIP keeps its old binding until the kernel accepts the new one', async () => {
  await using node = await servingWeb('address');
  node.kernel.faults.always = (_kind, message) => (message.type === 24 ? errnoNumber('ENOMEM') : undefined);
  await node.changeSettings({ vipBinding: 'route' });
  assert.deepEqual([node.routes, node.addresses], [[], bothAddresses]);
  node.kernel.faults.always = () => undefined;
  await node.advance(60_000);
  assert.deepEqual([node.routes, node.addresses], [bothAddresses, []]);
});

test('a VIP whose virtual server drains changes its binding too', async () => {
  await using node = await servingWeb('address');
  node.kernel.ipvs.busy = true;
  await node.change(web.key, undefined, []);
  assert.deepEqual(node.addresses, [`${vip}/32`], 'it stays for the connection');
  await node.changeSettings({ vipBinding: 'route' });
  assert.deepEqual([node.routes, node.addresses], [[`${vip}/32`], []]);
  node.kernel.ipvs.busy = false;
  await node.advance(60_000);
  assert.deepEqual(node.routes, []);
});

test('a local route that another program deletes is there again at once', async () => {
  await using node = await servingWeb('route');
  for (const address of [vip, vip6].map(ip))
    assert.deepEqual(await node.act(() => node.kernel.route.routes.remove(address)), [
      `- local route ${address}/${address.includes(':') ? 128 : 32}`,
      `+ local route ${address}/${address.includes(':') ? 128 : 32}`,
    ]);
});

test('a local route with the number of kube-ipvs that no Service defines is deleted at once', async () => {
  await using node = await servingWeb('route');
  assert.deepEqual(await node.act(() => node.kernel.route.routes.add(ip('10.96.0.9'))), [
    '+ local route 10.96.0.9/32',
    '- local route 10.96.0.9/32',
  ]);
});

test('an address that another program binds to kube-ipvs0 is unbound, and the route stays', async () => {
  await using node = await servingWeb('route');
  assert.deepEqual(await node.act(() => node.kernel.route.bindDummyAddress(ip(vip))), [
    `+ address ${vip}/32`,
    `- address ${vip}/32`,
  ]);
  assert.deepEqual(node.routes, bothAddresses);
});

test('local routes stay when another program deletes kube-ipvs0, which is made again', async () => {
  await using node = await servingWeb('route');
  const { routes } = node;
  await node.act(() => node.kernel.route.removeLink(defaultInstance.dummyInterface));
  assert.deepEqual(node.routes, routes);
  await node.changeSettings({ vipBinding: 'address' });
  assert.deepEqual(node.addresses, bothAddresses);
});

test('where notifications were lost the routes are read again', async () => {
  await using node = await servingWeb('route');
  node.kernel.notifications = 'lost';
  await node.act(() => node.kernel.route.routes.remove(ip(vip)));
  assert.deepEqual(node.routes, bothAddresses);
});

test('a route that is lost unseen is there again with the next resync', async () => {
  await using node = await servingWeb('route');
  node.kernel.notifications = 'unseen';
  await node.act(() => node.kernel.route.routes.remove(ip(vip6)));
  node.kernel.notifications = 'delivered';
  assert.deepEqual(node.routes, [`${vip}/32`]);
  await node.resync();
  assert.deepEqual(node.routes, bothAddresses);
});

test('local routes of other programs to the same VIPs are not touched', async () => {
  await using node = await ProductionNode.start({ settings: { vipBinding: 'route' } });
  const { routes } = node.kernel.route;
  for (const address of [vip, vip6]) routes.addForeign(ip(address));
  await node.change(web.key, web, slices);
  assert.deepEqual([node.routes, routes.foreign()], [bothAddresses, [vip, vip6]]);
  await node.changeSettings({ vipBinding: 'address' });
  await node.change(web.key, undefined, []);
  assert.deepEqual([node.routes, node.addresses, routes.foreign()], [[], [], [vip, vip6]]);
});
