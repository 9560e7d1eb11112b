import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { z } from 'zod';
import {
  chart,
  clusterTool,
  leastValues,
  objectsIn,
  objectsOf,
  template,
  type Values,
} from '../support/chart.js';
import { schemaFaults } from '../support/kubernetes-schema.js';
import { readKustomization, type Manifest } from '../support/kustomization.js';
import { runProgramSync } from '../support/program-thread.js';

// The Helm chart with helm itself: over a matrix of values, every object has the fields and types of the Kubernetes API, and the
// configuration is one that kube-ipvs accepts.

const root = fileURLToPath(new URL('../../..', import.meta.url));
const program = join(root, 'build/src/cli/main.js');
const work = mkdtempSync(join(tmpdir(), 'chart-test-'));
after(() => rmSync(work, { recursive: true }));

const apiTypes = new Set(['v1', 'apps/v1', 'rbac.authorization.k8s.io/v1']);
const relabelingShape = z.strictObject({
  action: z.literal('replace'),
  sourceLabels: z.array(z.string()).optional(),
  targetLabel: z.string(),
  replacement: z.string().optional(),
});
const endpointsShape = z.array(
  z.strictObject({
    port: z.literal('metrics'),
    interval: z.string().optional(),
    scrapeTimeout: z.string().optional(),
    relabelings: z.array(relabelingShape),
  }),
);
const selectorShape = z.strictObject({ matchLabels: z.record(z.string(), z.string()) });
/** The types of the Prometheus operator are not in the Kubernetes API: these are the fields that the chart uses. */
const monitorShapes: Readonly<Record<string, z.ZodType>> = {
  PodMonitor: z.strictObject({ selector: selectorShape, podMetricsEndpoints: endpointsShape }),
  ServiceMonitor: z.strictObject({ selector: selectorShape, endpoints: endpointsShape }),
  PrometheusRule: z.strictObject({ groups: z.array(z.object({ name: z.string() })).min(1) }),
};

const faults = (object: Manifest): readonly string[] => {
  if (apiTypes.has(object.apiVersion)) return schemaFaults(object, `V1${object.kind}`, object.kind);
  const shape = monitorShapes[object.kind];
  if (shape === undefined || object.apiVersion !== 'monitoring.coreos.com/v1')
    return [`unknown type ${object.apiVersion} ${object.kind}`];
  return shape.safeParse(object['spec']).error?.issues.map(({ message }) => message) ?? [];
};

const configurationFaults = (objects: readonly Manifest[]): string => {
  const map = objects.find(({ kind }) => kind === 'ConfigMap');
  const { data } = z.object({ data: z.record(z.string(), z.string()) }).parse(map);
  const file = join(work, 'config.conf');
  writeFileSync(file, data['config.conf'] ?? '');
  const { status, stdout, stderr } = runProgramSync(program, ['config', 'validate', file]);
  return status === 0 ? '' : stdout + stderr;
};

/** One change of the values each, and a text that the manifests then have. */
const cases: readonly (readonly [name: string, values: Values, text: RegExp])[] = [
  ['the least values', {}, /server: https:\/\/192\.0\.2\.10:6443/],
  [
    'some Services only',
    { serviceProxyName: 'trial', healthzBindAddress: '0.0.0.0:11256', metricsBindAddress: '0.0.0.0:11249' },
    /serviceProxyName: "trial"\n[^]*name: KUBE_IPVS_SERVICE_PROXY_NAME\n\s+value: "trial"/,
  ],
  [
    'an API server by name',
    { k8sServiceHost: 'api.example.org', k8sServicePort: 443 },
    /https:\/\/api\.example\.org:443/,
  ],
  ['an IPv6 API server', { k8sServiceHost: '2001:db8::1' }, /https:\/\/\[2001:db8::1\]:6443/],
  [
    'two pod networks',
    { clusterCIDR: '10.244.0.0/16,fd00:1::/64' },
    /clusterCIDR: "10\.244\.0\.0\/16,fd00:1::\/64"/,
  ],
  ['node ports on primary addresses', { nodePortAddresses: ['primary'] }, /nodePortAddresses: \["primary"\]/],
  [
    'IPVS settings',
    { ipvs: { scheduler: 'lc', strictARP: true, tcpTimeout: '2h', excludeCIDRs: ['192.0.2.0/24'] } },
    /strictARP: true/,
  ],
  [
    'further fields of kube-proxy',
    { config: { detectLocalMode: 'NodeCIDR', conntrack: { maxPerCore: 0 } } },
    /detectLocalMode: NodeCIDR/,
  ],
  ['further fields of kube-ipvs', { kubeIpvs: { drain: { deadline: '30s' } } }, /deadline: 30s/],
  ['no fields of kube-ipvs', { kubeIpvs: { drain: null } }, /kind: KubeIpvsConfiguration/],
  [
    'addresses of its ports',
    { healthzBindAddress: '127.0.0.1:10256', metricsBindAddress: '[::1]:9100' },
    /host: "127\.0\.0\.1"/,
  ],
  [
    'an image by tag',
    { image: { repository: 'r.example.org:5000/net/kube-ipvs', tag: '1.2.3', pullPolicy: 'Always' } },
    /image: "r\.example\.org:5000\/net\/kube-ipvs:1\.2\.3"/,
  ],
  [
    'an image by digest',
    { image: { digest: `sha256:${'a'.repeat(64)}` } },
    /image: "kube-ipvs@sha256:a{64}"/,
  ],
  ['pull secrets', { imagePullSecrets: [{ name: 'pull' }] }, /imagePullSecrets:\n +- name: pull/],
  ['flags', { extraArgs: ['-v=2', '--log-json-info-buffer-size=0'] }, /- "-v=2"/],
  ['resources', { resources: { limits: { memory: '1Gi' } } }, /memory: 1Gi/],
  [
    'scheduling',
    {
      priorityClassName: '',
      nodeSelector: { proxy: 'ipvs' },
      tolerations: [],
      affinity: { nodeAffinity: {} },
    },
    /proxy: ipvs/,
  ],
  [
    'labels and annotations of pods',
    { podLabels: { team: 'net' }, podAnnotations: { note: 'x' } },
    /team: net/,
  ],
  ['an update on delete', { updateStrategy: { type: 'OnDelete', rollingUpdate: null } }, /type: OnDelete/],
  [
    'another service account',
    { serviceAccount: { create: false, name: 'mine' } },
    /serviceAccountName: mine/,
  ],
  ['no roles', { rbac: { create: false } }, /kind: DaemonSet/],
  ['the right to read pods', { rbac: { readPods: true } }, /resources: \[pods\]\n {4}verbs: \[list, watch\]/],
  [
    'a PodMonitor as kube-proxy',
    { podMonitor: { enabled: true, job: 'kube-proxy', interval: '30s', labels: { release: 'p' } } },
    /replacement: "kube-proxy"/,
  ],
  ['a ServiceMonitor', { serviceMonitor: { enabled: true, scrapeTimeout: '5s' } }, /kind: ServiceMonitor/],
  ['alerts', { prometheusRule: { enabled: true } }, /alert: KubeIpvsNotSynced/],
  [
    'a dashboard',
    { dashboards: { enabled: true, annotations: { folder: 'Network' } } },
    /grafana_dashboard: "1"/,
  ],
  ['another name', { fullnameOverride: 'proxy' }, /k8s-app: proxy/],
];

for (const [name, values, text] of cases)
  test(`with ${name}, all objects and the configuration are valid`, () => {
    const rendered = template({ ...leastValues, ...values });
    const objects = objectsIn(rendered);
    assert.deepEqual(objects.flatMap(faults), []);
    assert.equal(configurationFaults(objects), '');
    assert.match(rendered.stdout, text);
  });

const refusals: readonly (readonly [values: Values, message: RegExp])[] = [
  [{ k8sServiceHost: '' }, /k8sServiceHost: set it to the address of an API server/],
  [{ k8sServiceHost: 'https://api:6443' }, /k8sServiceHost/],
  [{ k8sServicePort: 70000 }, /k8sServicePort/],
  [{ clusterCIDR: '10.244.0.0' }, /clusterCIDR/],
  [{ ipvs: { sheduler: 'rr' } }, /sheduler/],
  [{ ipvs: { tcpTimeout: 900 } }, /tcpTimeout/],
  [{ config: { clusterCIDR: '10.0.0.0/8' } }, /config/],
  [{ image: { digest: 'latest' } }, /digest/],
  [{ extraArgs: ['v=2'] }, /extraArgs/],
  [{ tolerations: { operator: 'Exists' } }, /tolerations/],
  [{ serviceProxyName: 'a/b' }, /serviceProxyName/],
  [{ serviceProxyName: 'trial' }, /BindAddress: kube-proxy listens on port 102/],
  [{ kubeIpvs: { serviceProxyName: 'trial' } }, /kubeIpvs/],
  [{ replicas: 3 }, /replicas/],
];
for (const [values, message] of refusals)
  test(`${JSON.stringify(values)} is refused`, () => {
    const { status, stderr } = template({ ...leastValues, ...values });
    assert.notEqual(status, 0);
    assert.match(stderr, message);
  });

test('helm lint finds nothing, and the schema knows every value', () => {
  const { status, stdout, stderr } = clusterTool(
    ['helm', 'lint', chart, '--strict', '--values', '-'],
    stringify(leastValues),
  );
  assert.equal(status, 0, stdout + stderr);
  const values = z
    .record(z.string(), z.unknown())
    .parse(parse(readFileSync(join(chart, 'values.yaml'), 'utf8')));
  const { properties } = z
    .object({ properties: z.record(z.string(), z.unknown()) })
    .parse(JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8')));
  assert.deepEqual(
    Object.keys(values).toSorted(),
    Object.keys(properties)
      .filter((name) => name !== 'global')
      .toSorted(),
  );
});

test('the notes say how to check it, and warn of what is missing', () => {
  const notes = (values: Values) => {
    const args = [
      'helm',
      'install',
      'kube-ipvs',
      chart,
      '--namespace',
      'kube-system',
      '--dry-run=client',
      '--values',
      '-',
    ];
    const { status, stdout, stderr } = clusterTool(args, stringify({ ...leastValues, ...values }));
    assert.equal(status, 0, stderr);
    return stdout.slice(stdout.indexOf('NOTES:'));
  };
  assert.match(notes({}), /kubectl -n kube-system rollout status daemonset\/kube-ipvs\n/);
  assert.match(notes({}), /clusterCIDR is empty/);
  assert.doesNotMatch(notes({ clusterCIDR: '10.244.0.0/16' }), /clusterCIDR|twice/);
  const monitors = { podMonitor: { enabled: true }, serviceMonitor: { enabled: true } };
  assert.match(notes(monitors), /scrapes each node twice/);
});

test('a changed port or API server restarts the pods, a changed scheduler does not', () => {
  const pods = (values: Values) => {
    const found = objectsOf({ ...leastValues, ...values }).find(({ kind }) => kind === 'DaemonSet');
    return stringify(found);
  };
  assert.equal(pods({ ipvs: { scheduler: 'lc' } }), pods({}));
  assert.notEqual(pods({ k8sServiceHost: '192.0.2.11' }), pods({}));
});

// ---- kustomize

test('deploy/base and deploy/monitoring are what the chart renders', () => {
  const { status, stderr } = spawnSync(join(root, 'scripts/render-manifests'), ['--check'], {
    encoding: 'utf8',
  });
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
});

for (const name of ['base', 'monitoring'])
  test(`kubectl kustomize deploy/${name} gives the objects that the tests read`, () => {
    const folder = join(root, 'deploy', name);
    const { status, stdout, stderr } = clusterTool(['kubectl', 'kustomize', folder]);
    assert.equal(status, 0, stderr);
    const key = ({ kind, metadata }: Manifest) => `${kind}/${metadata.name}`;
    const sorted = (objects: readonly Manifest[]) => objects.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
    const built = parseAllDocuments(stdout).map((document) => document.toJS() as Manifest);
    assert.deepEqual(sorted(built), sorted(readKustomization(folder).objects));
  });

// ---- the package

const packaged = async (): Promise<string> => {
  const { chartPackage } = (await import(join(root, 'scripts/release-files/chart-package.mjs'))) as {
    chartPackage: (root: string) => Buffer;
  };
  const path = join(work, 'chart.tgz');
  writeFileSync(path, chartPackage(root));
  return path;
};

test('helm reads the package as it reads the directory', async () => {
  const from = await packaged();
  assert.equal(template(leastValues, { from }).stdout, template(leastValues).stdout);
  assert.equal(
    clusterTool(['helm', 'show', 'values', from]).stdout.trimEnd(),
    readFileSync(join(chart, 'values.yaml'), 'utf8').trimEnd(),
  );
});

/** As much of an API server as `kubectl apply --dry-run=client` asks: which types there are. No object exists. */
const discovery = () => {
  const resource = (name: string, kind: string, namespaced = true) => ({
    name,
    kind,
    namespaced,
    verbs: ['get', 'create', 'patch'],
    singularName: '',
  });
  const groups: Readonly<Record<string, readonly object[]>> = {
    v1: [resource('serviceaccounts', 'ServiceAccount'), resource('configmaps', 'ConfigMap')],
    'apps/v1': [resource('daemonsets', 'DaemonSet')],
    'rbac.authorization.k8s.io/v1': [
      resource('clusterroles', 'ClusterRole', false),
      resource('clusterrolebindings', 'ClusterRoleBinding', false),
      resource('roles', 'Role'),
      resource('rolebindings', 'RoleBinding'),
    ],
  };
  const versions = Object.keys(groups).filter((version) => version.includes('/'));
  const pages: Readonly<Record<string, object>> = {
    '/api': { kind: 'APIVersions', versions: ['v1'] },
    '/apis': {
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: versions.map((groupVersion) => {
        const [name, version] = groupVersion.split('/');
        return { name, versions: [{ groupVersion, version }], preferredVersion: { groupVersion, version } };
      }),
    },
    ...Object.fromEntries(
      Object.entries(groups).map(([groupVersion, resources]) => [
        groupVersion === 'v1' ? '/api/v1' : `/apis/${groupVersion}`,
        { kind: 'APIResourceList', groupVersion, resources },
      ]),
    ),
  };
  return createServer(({ url = '' }, response) => {
    const page = pages[url.split('?')[0] ?? ''];
    response.writeHead(page === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify(
        page ?? { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 },
      ),
    );
  });
};

/** Runs a tool while this process serves. */
const startedTool = async (args: readonly string[], input: string) => {
  const running = promisify(execFile)(join(root, 'scripts/cluster-tool'), args);
  running.child.stdin?.end(input);
  return running;
};

test('helm template of the package | kubectl apply --dry-run=client takes every object', async () => {
  const server = discovery().listen(0, '127.0.0.1');
  try {
    await new Promise((listening) => server.on('listening', listening));
    const { port } = server.address() as AddressInfo;
    const { stdout: manifests } = template(leastValues, { from: await packaged() });
    const args = [
      'kubectl',
      `--server=http://127.0.0.1:${port}`,
      `--cache-dir=${work}/cache`,
      'apply',
      '--dry-run=client',
      '--validate=false',
      '-f',
      '-',
    ];
    const { stdout, stderr } = await startedTool(args, manifests);
    assert.deepEqual(
      stdout.trim().split('\n').toSorted(),
      [
        'clusterrole.rbac.authorization.k8s.io/kube-ipvs created (dry run)',
        'clusterrolebinding.rbac.authorization.k8s.io/kube-ipvs created (dry run)',
        'configmap/kube-ipvs created (dry run)',
        'daemonset.apps/kube-ipvs created (dry run)',
        'role.rbac.authorization.k8s.io/kube-ipvs created (dry run)',
        'rolebinding.rbac.authorization.k8s.io/kube-ipvs created (dry run)',
        'serviceaccount/kube-ipvs created (dry run)',
      ],
      stderr,
    );
  } finally {
    server.close();
  }
});
