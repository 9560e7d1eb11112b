import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kubeIpvsSettings } from '../support/kube-ipvs-settings.js';

test('without an interface connections are not synchronized, and the kernel is left as it is', () => {
  const { connectionSync, kernelTuning } = kubeIpvsSettings('');
  assert.equal(connectionSync, undefined);
  assert.deepEqual(kernelTuning, {
    estimatorCpuList: '',
    estimatorNice: null,
    connectionLoadFactor: null,
    serviceLoadFactor: null,
  });
});

test('an interface is enough', () => {
  assert.deepEqual(kubeIpvsSettings('connectionSync: {interface: eth1}').connectionSync, {
    interface: 'eth1',
    group: 1,
    port: 8848,
    ipFamily: 'IPv4',
    ttl: 1,
    affinityOnly: false,
    refreshPeriod: 10_000,
    retries: 0,
    packetThreshold: 3,
    packetInterval: 0,
    threads: 1,
    queueLength: 0,
    socketBufferSize: 0,
  });
});

const wrong: Readonly<Record<string, string>> = {
  'connectionSync: {interface: a-name-too-long-for-linux}':
    'connectionSync.interface must be the name of an interface',
  'connectionSync: {interface: "eth 1"}': 'connectionSync.interface must be the name of an interface',
  'connectionSync: {interface: eth1, group: 256}':
    'connectionSync.group must be a whole number from 1 to 255',
  'connectionSync: {interface: eth1, group: 0}': 'connectionSync.group must be a whole number from 1 to 255',
  'connectionSync: {interface: eth1, ipFamily: IPv5}': 'connectionSync.ipFamily must be IPv4 or IPv6',
  'connectionSync: {interface: eth1, refreshPeriod: -1s}': 'connectionSync.refreshPeriod must be 0s',
  'connectionSync: {interface: eth1, retries: 4}':
    'connectionSync.retries must be a whole number from 0 to 3',
  'connectionSync: {interface: eth1, threads: 3}': 'connectionSync.threads must be a power of two',
  'connectionSync: {interface: eth1, port: 65535, threads: 2}': 'connectionSync.port must leave 2 ports',
  'connectionSync: {interface: eth1, packetThreshold: 9, packetInterval: 9}':
    'connectionSync.packetThreshold must be below connectionSync.packetInterval, which is 9',
  'kernel: {estimatorCpuList: "3-1"}': 'kernel.estimatorCpuList must be a list of CPUs',
  'kernel: {estimatorNice: 20}': 'kernel.estimatorNice must be a whole number from -20 to 19',
  'kernel: {connectionLoadFactor: -9}': 'kernel.connectionLoadFactor must be a whole number from -8 to 8',
  'kernel: {serviceLoadFactor: 1.5}': 'kernel.serviceLoadFactor must be a whole number from -8 to 8',
};

for (const [fields, problem] of Object.entries(wrong))
  test(`${fields} is refused`, () => {
    assert.throws(
      () => kubeIpvsSettings(fields),
      ({ message }: Error) => message.includes(`own.yaml:3: ${problem}`),
    );
  });
