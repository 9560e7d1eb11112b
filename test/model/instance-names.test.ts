import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  defaultInstance,
  instanceNames,
  isKubeIpvsTable,
  isServiceProxyInterface,
  serviceProxyNameRequirement,
} from '../../src/model/instance-names.js';

const labelValue = fc.stringMatching(/^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/);

test('without a name, the names are those of kube-proxy and of earlier versions', () => {
  assert.deepEqual(instanceNames(''), defaultInstance);
  assert.equal(defaultInstance.dummyInterface, 'kube-ipvs0');
});

test('a short name is in every name; of a long one, the interface has a digest', () => {
  assert.deepEqual(instanceNames('trial'), {
    serviceProxyName: 'trial',
    dummyInterface: 'kube-ipvs-trial',
    table: 'kube-ipvs-trial',
    routeMetric: instanceNames('trial').routeMetric,
    adminSocket: '/run/kube-ipvs/admin-trial.sock',
  });
  const long = instanceNames('canary-of-the-platform-team');
  assert.match(long.dummyInterface, /^kube-ipvs-[0-9a-z]{5}$/);
  assert.notEqual(long.dummyInterface, instanceNames('canary-of-the-platform-teams').dummyInterface);
});

test('every name fits the kernel, and two instances share nothing', () => {
  fc.assert(
    fc.property(labelValue, labelValue, (one, other) => {
      const names = instanceNames(one);
      assert.equal(serviceProxyNameRequirement(one), undefined);
      assert.ok(names.dummyInterface.length <= 15 && /^[^/:\s]+$/.test(names.dummyInterface));
      // include/uapi/linux/netfilter/nf_tables.h: NFT_NAME_MAXLEN; struct sockaddr_un has 108 bytes.
      assert.ok(names.table.length < 256 && names.adminSocket.length < 108);
      assert.ok(names.routeMetric > defaultInstance.routeMetric && names.routeMetric < 2 ** 31);
      assert.ok(isServiceProxyInterface(names.dummyInterface) && isKubeIpvsTable(names.table));
      if (one === other) return;
      assert.notEqual(names.table, instanceNames(other).table);
      assert.notEqual(names.adminSocket, instanceNames(other).adminSocket);
      for (const [field, value] of Object.entries(defaultInstance))
        assert.notEqual(names[field as keyof typeof names], value);
    }),
  );
});

test('a name that is no value of a label is refused', () => {
  for (const name of ['-a', 'a/b', 'a b', '..', 'x'.repeat(64), 'ä'])
    assert.match(serviceProxyNameRequirement(name) ?? '', /^must be a value of the label/, name);
});

test('interfaces and tables of other programs are theirs', () => {
  for (const name of ['eth0', 'kube-ipvs', 'kube-ipvs1', 'dummy0'])
    assert.ok(!isServiceProxyInterface(name), name);
  for (const name of ['kube-proxy', 'probe-of-kube-ipvs', 'filter']) assert.ok(!isKubeIpvsTable(name), name);
});
