import assert from 'node:assert/strict';
import { test } from 'node:test';
import { installedKubeProxy } from '../../../src/doctor/collect/kube-proxy.js';
import type { SendRequest } from '../../../src/doctor/collect/api-request.js';

const daemonSetPath = '/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy';
const configMapPath = '/api/v1/namespaces/kube-system/configmaps/kube-proxy';
const nodesPath = '/api/v1/nodes?fieldSelector=metadata.name%3Dn1';
const podsPath = (label: string) =>
  `/api/v1/namespaces/kube-system/pods?labelSelector=${label}%3Dkube-proxy&fieldSelector=spec.nodeName%3Dn1`;

const daemonSetWith = (nodeSelector?: Readonly<Record<string, string>>) => ({
  spec: {
    template: { spec: { nodeSelector, containers: [{ name: 'kube-proxy', image: 'r/kube-proxy:v1' }] } },
  },
});
const none = { items: [] };
const empty: Readonly<Record<string, object>> = {
  [nodesPath]: { items: [{ metadata: { name: 'n1', labels: { 'kubernetes.io/os': 'linux' } } }] },
  [podsPath('k8s-app')]: none,
  [podsPath('component')]: none,
};

/** A server with these objects: 404 for others, or 403 for the paths that are forbidden. */
const server =
  (objects: Readonly<Record<string, object>>, forbidden: readonly string[] = []): SendRequest =>
  ({ path }) => {
    const object = objects[path];
    const status = forbidden.includes(path) ? 403 : object === undefined ? 404 : 200;
    return Promise.resolve({ status, headers: {}, body: JSON.stringify(object ?? {}), milliseconds: 1 });
  };

test('a cluster without kube-proxy', async () => {
  assert.deepEqual(await installedKubeProxy(server(empty), 'n1'), {
    daemonSet: undefined,
    hasConfigMap: false,
    kubeadm: undefined,
    pods: [],
  });
});

test('a DaemonSet selects the node if all labels of its nodeSelector match', async () => {
  const selectors = [
    [undefined, true],
    [{ 'kubernetes.io/os': 'linux' }, true],
    [{ 'kubernetes.io/os': 'windows' }, false],
    [{ 'kubernetes.io/os': 'linux', proxy: 'kube-proxy' }, false],
  ] as const;
  for (const [nodeSelector, selectsNode] of selectors) {
    const objects = { ...empty, [daemonSetPath]: daemonSetWith(nodeSelector), [configMapPath]: {} };
    assert.deepEqual(await installedKubeProxy(server(objects), 'n1'), {
      daemonSet: { image: 'r/kube-proxy:v1', selectsNode },
      hasConfigMap: true,
      kubeadm: undefined,
      pods: [],
    });
  }
});

test('a DaemonSet selects the node if a term of its required node affinity matches', async () => {
  const expression = (key: string, operator: string, ...values: readonly string[]) => ({
    key,
    operator,
    values,
  });
  const os = 'kubernetes.io/os';
  const terms = [
    [[[expression(os, 'In', 'linux', 'windows')]], true],
    [[[expression(os, 'In', 'windows')]], false],
    [[[expression(os, 'NotIn', 'linux')]], false],
    [[[expression(os, 'Exists'), expression('kube-ipvs.dev/service-proxy', 'DoesNotExist')]], true],
    [[[expression(os, 'DoesNotExist')]], false],
    [[[expression(os, 'DoesNotExist')], [expression('cores', 'Gt', '4')]], true],
  ] as const;
  for (const [expressions, selectsNode] of terms) {
    const daemonSet = structuredClone(daemonSetWith()) as ReturnType<typeof daemonSetWith> & {
      spec: { template: { spec: { affinity?: object } } };
    };
    const nodeSelectorTerms = expressions.map((matchExpressions) => ({ matchExpressions }));
    daemonSet.spec.template.spec.affinity = {
      nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } },
    };
    const installed = await installedKubeProxy(server({ ...empty, [daemonSetPath]: daemonSet }), 'n1');
    assert.equal(installed.daemonSet?.selectsNode, selectsNode, JSON.stringify(nodeSelectorTerms));
  }
});

test('kubeadm-config disables kube-proxy by proxy.disabled in ClusterConfiguration', async () => {
  const configurations = [
    ['kind: ClusterConfiguration\nproxy: {disabled: true}\n', true],
    ['kind: ClusterConfiguration\nproxy: {}\n', false],
    ['kind: ClusterConfiguration\ndns: {disabled: true}\n', false],
  ] as const;
  for (const [ClusterConfiguration, proxyDisabled] of configurations) {
    const path = '/api/v1/namespaces/kube-system/configmaps/kubeadm-config';
    const objects = { ...empty, [path]: { data: { ClusterConfiguration } } };
    assert.deepEqual((await installedKubeProxy(server(objects), 'n1')).kubeadm, { proxyDisabled });
  }
});

test('static pods on the node are found by either label, and not where pods may not be listed', async () => {
  const pod = { items: [{ metadata: { name: 'kube-proxy-n1' } }] };
  for (const label of ['k8s-app', 'component']) {
    const objects = { ...empty, [podsPath(label)]: pod };
    assert.deepEqual((await installedKubeProxy(server(objects), 'n1')).pods, ['kube-proxy-n1']);
  }
  const refusing = server(empty, [podsPath('k8s-app')]);
  assert.equal((await installedKubeProxy(refusing, 'n1')).pods, undefined);
});

test('a forbidden DaemonSet is an error, not an absent one', async () => {
  await assert.rejects(installedKubeProxy(server(empty, [daemonSetPath]), 'n1'), /403/);
});
