import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../../src/base/log.js';
import { resetConnections } from '../../../src/apply/conntrack/reset-connections.js';
import { firewallMark } from '../../../src/model/firewall-mark.js';
import { serviceKey } from '../../../src/model/service.js';
import {
  virtualServerKey,
  type RealServerKey,
  type VirtualServerEntry,
  type VirtualServerIdentity,
  type VirtualServerKey,
} from '../../../src/model/virtual-server.js';
import { entry, real } from '../../support/virtual-server-entries.js';
import { ip } from '../../support/objects.js';

const markOf = (name: string): VirtualServerIdentity => ({
  by: 'fwmark',
  fwmark: firewallMark(serviceKey('default', name), { protocol: 'TCP', port: 80 }, 'IPv4'),
  family: 'IPv4',
});
const frontend = { by: 'address', protocol: 'TCP', address: ip('203.0.113.1'), port: 80 } as const;
const realServer = '10.1.0.1:80' as RealServerKey;
const foreign = { by: 'fwmark', fwmark: 77, family: 'IPv4' } as const;

/** What is cleaned when a virtual server loses its real server, given those in the kernel that still have it. */
const cleanedAfter = async (
  of: VirtualServerIdentity,
  having: readonly VirtualServerIdentity[] = [],
  frontends: ReadonlyMap<VirtualServerKey, readonly VirtualServerIdentity[]> = new Map(),
): Promise<readonly string[]> => {
  const cleaned: string[] = [];
  const kernel = new Map<VirtualServerKey, VirtualServerEntry>(
    having.map((each) => [virtualServerKey(each), entry(each, {}, real('10.1.0.1', 80))]),
  );
  await resetConnections([{ of, realServer, reason: 'deadline' }], {
    observed: {
      virtualServer: (key) => kernel.get(key),
      virtualServerKeys: () => kernel.keys(),
      bindings: () => [],
      element: () => undefined,
    },
    inCluster: {
      inClusterServerOf: () => undefined,
      frontendsOf: (server) => frontends.get(server) ?? [],
    },
    staleFlows: {
      clean: async (served, deleted = []) => {
        cleaned.push(...served.map(({ identity }) => virtualServerKey(identity)));
        cleaned.push(...deleted.map((each) => `${each.protocol} from ${each.realServer}`));
      },
    },
    log: silentLogger,
  });
  return cleaned;
};

test('flows of a virtual server by address, and of a mark with a Service, are found by their frontends', async () => {
  assert.deepEqual(await cleanedAfter(frontend), ['TCP 203.0.113.1:80']);
  const frontends = new Map([[virtualServerKey(markOf('web')), [frontend]]]);
  assert.deepEqual(await cleanedAfter(markOf('web'), [], frontends), ['TCP 203.0.113.1:80']);
});

test('flows of a mark whose Service was deleted are found by the real server that answers', async () => {
  assert.deepEqual(await cleanedAfter(markOf('web')), ['TCP from 10.1.0.1:80']);
});

test('they stay while another mark whose frontends are not known may have led them to the real server', async () => {
  assert.deepEqual(await cleanedAfter(markOf('web'), [foreign]), []);
  assert.deepEqual(await cleanedAfter(markOf('web'), [markOf('also-deleted')]), []);
  const frontends = new Map([[virtualServerKey(markOf('other')), [frontend]]]);
  assert.deepEqual(await cleanedAfter(markOf('web'), [markOf('other')], frontends), ['TCP from 10.1.0.1:80']);
  assert.deepEqual(await cleanedAfter(markOf('web'), [{ ...foreign, family: 'IPv6' }]), [
    'TCP from 10.1.0.1:80',
  ]);
});
