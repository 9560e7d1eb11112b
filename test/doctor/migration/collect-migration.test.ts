import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kubeProxySettings } from '../../../src/doctor/migration/collect-migration.js';

const file = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clusterCIDR: 10.244.0.0/16
ipvs: {scheduler: lc}
`;

test('the settings of kube-proxy are those of its flags and its file, in any mode', () => {
  const words = [
    '/usr/local/bin/kube-proxy',
    '--config=/var/lib/kube-proxy/config.conf',
    '--hostname-override=Node-7',
    '',
  ];
  const settings = kubeProxySettings(words, 'node-1', (name) => {
    assert.equal(name, '/var/lib/kube-proxy/config.conf');
    return file;
  });
  assert.deepEqual([settings.scheduler, settings.nodeName], ['lc', 'node-7']);
  assert.equal(settings.configuration.clusterCIDR, '10.244.0.0/16');
});

test('without a file, the flags count', () => {
  const settings = kubeProxySettings(
    ['kube-proxy', '--proxy-mode=nftables', '--cluster-cidr=10.1.0.0/16', '--ipvs-scheduler', 'sh'],
    'node-1',
    () => assert.fail('no file'),
  );
  assert.deepEqual([settings.scheduler, settings.clusterCidrs.length], ['sh', 1]);
});
