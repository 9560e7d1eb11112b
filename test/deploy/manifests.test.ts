import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type {
  V1ClusterRole,
  V1ClusterRoleBinding,
  V1ConfigMap,
  V1DaemonSet,
  V1Role,
} from '@kubernetes/client-node';
import { schemaFaults } from '../support/kubernetes-schema.js';
import { readKustomization, type Manifest } from '../support/kustomization.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const base = readKustomization(join(root, 'deploy/base'));
const monitoring = readKustomization(join(root, 'deploy/monitoring'));
const program = join(root, 'build/src/cli/main.js');

/** The API types of the manifests. Types of monitoring.coreos.com belong to no Kubernetes release. */
const types: Readonly<Record<string, string>> = {
  'v1 ServiceAccount': 'V1ServiceAccount',
  'v1 ConfigMap': 'V1ConfigMap',
  'apps/v1 DaemonSet': 'V1DaemonSet',
  'rbac.authorization.k8s.io/v1 ClusterRole': 'V1ClusterRole',
  'rbac.authorization.k8s.io/v1 ClusterRoleBinding': 'V1ClusterRoleBinding',
  'rbac.authorization.k8s.io/v1 Role': 'V1Role',
  'rbac.authorization.k8s.io/v1 RoleBinding': 'V1RoleBinding',
};
const typeOf = ({ apiVersion, kind }: Manifest): string => types[`${apiVersion} ${kind}`] ?? 'unknown';

interface Kinds {
  readonly ClusterRole: V1ClusterRole;
  readonly ClusterRoleBinding: V1ClusterRoleBinding;
  readonly Role: V1Role;
  readonly ConfigMap: V1ConfigMap;
  readonly DaemonSet: V1DaemonSet;
}

/** The only object of a kind. The first test has checked its shape. */
const only = <Kind extends keyof Kinds>(kind: Kind): Kinds[Kind] => {
  const [found, ...more] = base.objects.filter((object) => object.kind === kind);
  assert.ok(found !== undefined && more.length === 0, kind);
  return found as unknown as Kinds[Kind];
};
const faults = (object: unknown, type: string): readonly string[] => schemaFaults(object, type, '');

test('every object has the fields and types of the Kubernetes API', () => {
  for (const object of base.objects) assert.deepEqual(faults(object, typeOf(object)), [], object.kind);
  for (const object of monitoring.objects.filter(({ kind }) => kind === 'ConfigMap'))
    assert.deepEqual(faults(object, 'V1ConfigMap'), []);
});

test('that check finds an unknown field, a field of the wrong type, and a missing field', () => {
  const broken = {
    apiVersion: 'apps/v1',
    spec: { template: {}, revisionHistoryLimit: 'three', replicas: 3 },
  };
  assert.deepEqual(faults(broken, 'V1DaemonSet').toSorted(), [
    '.spec.replicas: unknown field',
    '.spec.revisionHistoryLimit: must be a number',
    '.spec.selector: missing',
  ]);
});

test('references match: namespaces, the service account, its role, labels, the ConfigMap, the image', () => {
  const { spec, metadata } = only('DaemonSet');
  const pod = spec?.template.spec;
  const binding = only('ClusterRoleBinding');
  const role = only('ClusterRole');
  for (const object of [...base.objects, ...monitoring.objects])
    if (!object.kind.startsWith('ClusterRole')) assert.equal(object.metadata.namespace, base.namespace);
  assert.equal(metadata?.namespace, base.namespace);
  assert.deepEqual(spec?.selector.matchLabels, spec?.template.metadata?.labels);
  assert.equal(binding.roleRef.name, role.metadata?.name);
  assert.deepEqual(binding.subjects, [
    { kind: 'ServiceAccount', name: pod?.serviceAccountName, namespace: base.namespace },
  ]);
  assert.deepEqual(
    pod?.volumes?.flatMap(({ configMap }) => configMap?.name ?? []),
    [only('ConfigMap').metadata?.name],
  );
  const images = [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])].map(({ image }) => image);
  const { version }: { version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  assert.deepEqual([...new Set(images)], [`kube-ipvs:${version}`]);
});

test('the container has the privileges that test/kernel/image.test.ts shows to be necessary, and no more', () => {
  const pod = only('DaemonSet').spec?.template.spec;
  const [main] = pod?.containers ?? [];
  assert.deepEqual(main?.securityContext, {
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    runAsUser: 65532,
    runAsGroup: 0,
    allowPrivilegeEscalation: true,
    capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] },
  });
  assert.ok(pod?.hostNetwork);
  const [init] = pod?.initContainers ?? [];
  assert.equal(init?.securityContext?.privileged, true);
  assert.deepEqual(init?.args, [...(main?.args ?? []), '--init-only']);
});

test('kubectl exec and logs choose the daemon without -c and without a remark about the init container', () => {
  const template = only('DaemonSet').spec?.template;
  const name = template?.metadata?.annotations?.['kubectl.kubernetes.io/default-container'];
  assert.ok(name !== undefined);
  assert.deepEqual(
    template?.spec?.containers.map((container) => container.name),
    [name],
  );
});

const granted = ({ rules = [] }: V1ClusterRole | V1Role): readonly string[] =>
  rules.flatMap(({ apiGroups = [], resources = [], resourceNames = [], verbs }) =>
    resources.map((resource) =>
      [`${apiGroups.join()}/${resource}`, ...resourceNames].join(' ').concat(`: ${verbs.join(' ')}`),
    ),
  );

test('the roles allow the requests that kube-ipvs makes, and no others', () => {
  assert.deepEqual(granted(only('Role')), [
    'apps/daemonsets kube-proxy: get',
    '/configmaps kube-proxy kubeadm-config: get',
  ]);
  assert.deepEqual(granted(only('ClusterRole')), [
    '/services: list watch',
    '/nodes: get list watch',
    'discovery.k8s.io/endpointslices: list watch',
    'events.k8s.io/events: create patch',
  ]);
});

test('the configuration is valid, and its ports are those of the probes and the monitor', () => {
  const { data = {} } = only('ConfigMap');
  const folder = mkdtempSync(join(tmpdir(), 'manifests-'));
  try {
    const file = join(folder, 'config.conf');
    writeFileSync(file, data['config.conf'] ?? '');
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'config', 'validate', file], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, `${stdout}${stderr}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
  const [main] = only('DaemonSet').spec?.template.spec?.containers ?? [];
  for (const { name, containerPort } of main?.ports ?? [])
    assert.match(data['config.conf'] ?? '', new RegExp(`^${name}BindAddress: ".*:${containerPort}"$`, 'm'));
  for (const probe of [main?.startupProbe, main?.livenessProbe, main?.readinessProbe])
    assert.equal(probe?.httpGet?.port, 10256);
  // The kubeconfig that it names is in the same ConfigMap.
  const [mount] = main?.volumeMounts ?? [];
  assert.match(data['config.conf'] ?? '', new RegExp(`kubeconfig: ${mount?.mountPath}/kubeconfig.conf`));
  assert.ok('kubeconfig.conf' in data);
});
