import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { clusterTool } from '../support/chart.js';
import { schemaFaults } from '../support/kubernetes-schema.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * kubectl over files: a node has the label if its file is there; a pod ends with the status in `status-NODE`. It writes each pod to
 * `pods.yaml`, and every other change to `changes`.
 */
const kubectl = `#!/bin/bash
cd "$(dirname "$0")"
words="$*"
case $words in
  "get nodes"*) echo -n "node-1 node-2 node-3" ;;
  "get node "*) if [ -e "label-$3" ]; then value=$(cat "label-$3"); echo -n "\${value:-kube-ipvs}"; fi ;;
  *"get daemonset kube-proxy"*) cat kube-proxy ;;
  *"get daemonset kube-ipvs"*nodeSelector*) cat kube-ipvs ;;
  *"get daemonset kube-ipvs"*image*) echo -n registry.example/kube-ipvs:1 ;;
  "create -f - -o name")
    cat >pod; { cat pod; echo ---; } >>pods.yaml
    node=$(sed -n 's/^  nodeName: "\\(.*\\)"/\\1/p' pod)
    if [ ! -e "failed-$node" ]; then
      case $(cat pod) in *'"migrate", "node"'*) : >"label-$node" ;; *'"migrate", "back"'*) rm -f "label-$node" ;; esac
    fi
    echo "pod/migrate-$node" ;;
  *"get pod/migrate-"*)
    node=$(echo "$words" | sed 's/.*migrate-\\([^ ]*\\).*/\\1/')
    if [ -e "failed-$node" ]; then echo -n Failed; else echo -n Succeeded; fi ;;
  *logs*) echo "log of $4" ;;
  *) echo "$words" >>changes ;;
esac
exit 0
`;

class Cluster {
  readonly folder = mkdtempSync(join(tmpdir(), 'migrate-nodes-'));

  constructor() {
    writeFileSync(join(this.folder, 'kubectl'), kubectl);
    chmodSync(join(this.folder, 'kubectl'), 0o755);
    this.write('kube-proxy', '{"nodeAffinity":{"key":"kube-ipvs.dev/service-proxy"}}');
    this.write('kube-ipvs', '{"kube-ipvs.dev/service-proxy":"kube-ipvs"}');
  }

  write(name: string, text = ''): void {
    writeFileSync(join(this.folder, name), text);
  }

  read(name: string): string {
    return existsSync(join(this.folder, name)) ? readFileSync(join(this.folder, name), 'utf8') : '';
  }

  /** The nodes of the pods that were started, in their order. */
  get pods() {
    return parseAllDocuments(this.read('pods.yaml'))
      .map((document) => document.toJS())
      .filter((pod) => pod !== null);
  }

  run(...args: readonly string[]) {
    const env = { ...process.env, PATH: `${this.folder}:${process.env['PATH']}` };
    return spawnSync(join(root, 'deploy/migrate-nodes'), args, { encoding: 'utf8', env });
  }
}

const nodesOf = (cluster: Cluster): readonly string[] => cluster.pods.map(({ spec }) => spec.nodeName);

test('nodes are migrated one after the other; those with the label are skipped', () => {
  const cluster = new Cluster();
  cluster.write('label-node-2');
  const { status, stdout, stderr } = cluster.run(
    '--all',
    '--args',
    '--observe=1m --probe=http://10.96.0.20/?a&b|c',
  );
  assert.equal(status, 0, stderr);
  assert.deepEqual(nodesOf(cluster), ['node-1', 'node-3']);
  assert.equal(
    stdout,
    '== node-1\nlog of pod/migrate-node-1\n== node-2: nothing to do\n== node-3\nlog of pod/migrate-node-3\n== 3 of 3 nodes\n',
  );
  const [pod] = cluster.pods;
  assert.deepEqual(schemaFaults(pod, 'V1Pod', ''), []);
  assert.equal(pod.spec.containers[0].image, 'registry.example/kube-ipvs:1');
  assert.deepEqual(pod.spec.containers[0].args, [
    'migrate',
    'node',
    '--config=/var/lib/kube-proxy/config.conf',
    '--observe=1m',
    '--probe=http://10.96.0.20/?a&b|c',
  ]);
  assert.match(cluster.read('changes'), /^-n kube-system delete pod\/migrate-node-1 /);
});

test('the first node that fails ends the loop, and its pod is kept', () => {
  const cluster = new Cluster();
  cluster.write('failed-node-2');
  const { status, stdout, stderr } = cluster.run('node-1', 'node-2', 'node-3');
  assert.equal(status, 1);
  assert.deepEqual(nodesOf(cluster), ['node-1', 'node-2']);
  assert.match(stdout, /log of pod\/migrate-node-2\n$/);
  assert.equal(stderr, 'migrate-nodes: stopped at node node-2, after 1 of 3 nodes. Its pod is kept.\n');
  assert.doesNotMatch(cluster.read('changes'), /node-2/);
});

test('back: only nodes with the label', () => {
  const cluster = new Cluster();
  cluster.write('label-node-3');
  assert.equal(cluster.run('--back', '--all').status, 0);
  assert.deepEqual(nodesOf(cluster), ['node-3']);
  assert.equal(cluster.pods[0].spec.containers[0].args[1], 'back');
});

test('a node that a command left in between is not skipped', () => {
  const cluster = new Cluster();
  cluster.write('label-node-1', 'changing');
  assert.equal(cluster.run('--back', 'node-1').status, 0);
  assert.deepEqual(nodesOf(cluster), ['node-1']);
  cluster.write('label-node-1', 'changing');
  assert.equal(cluster.run('node-1').status, 0);
  assert.deepEqual(nodesOf(cluster), ['node-1', 'node-1']);
});

test('without DaemonSets that select by the label, no node is changed, and the remedy is named', () => {
  const cluster = new Cluster();
  cluster.write('kube-ipvs', '{"kubernetes.io/os":"linux"}');
  assert.match(cluster.run('--all').stderr, /kubectl apply -k deploy\/migration/);
  cluster.write('kube-proxy', '');
  assert.match(cluster.run('--all').stderr, /deploy\/migrate-nodes --prepare/);
  assert.deepEqual(nodesOf(cluster), []);
  assert.equal(cluster.run('--check', 'node-1').status, 0);
  assert.equal(cluster.pods[0].spec.containers[0].args[1], 'check');
});

test('--prepare lets kube-proxy leave labelled nodes', () => {
  const cluster = new Cluster();
  const { status, stderr } = cluster.run('--prepare');
  assert.equal(status, 0, stderr);
  const patch =
    cluster
      .read('changes')
      .replaceAll('\n', ' ')
      .match(/-p (\{.*\}) -n/)?.[1] ?? '';
  const daemonSet = {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    spec: { selector: {}, ...JSON.parse(patch).spec },
  };
  daemonSet.spec.template.spec.containers = [];
  assert.deepEqual(schemaFaults(daemonSet, 'V1DaemonSet', ''), []);
  const { affinity } = daemonSet.spec.template.spec;
  assert.deepEqual(
    affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]
      .matchExpressions,
    [{ key: 'kube-ipvs.dev/service-proxy', operator: 'DoesNotExist' }],
  );
});

test('wrong usage is refused', () => {
  const cluster = new Cluster();
  for (const args of [[], ['--al'], ['--all', 'node-1'], ['--image'], ['--prepare', 'node-1']])
    assert.equal(cluster.run(...args).status, 2, args.join(' '));
  assert.equal(cluster.run('--help').status, 0);
  assert.deepEqual(nodesOf(cluster), []);
});

test('the overlay adds the label to the node selector, and gives the pods their rights', () => {
  const { stdout, stderr, status } = clusterTool(['kubectl', 'kustomize', join(root, 'deploy/migration')]);
  assert.equal(status, 0, stderr);
  const objects = parseAllDocuments(stdout).map((document) => document.toJS());
  const daemonSet = objects.find(({ kind }) => kind === 'DaemonSet');
  assert.deepEqual(daemonSet.spec.template.spec.nodeSelector, {
    'kube-ipvs.dev/service-proxy': 'kube-ipvs',
    'kubernetes.io/os': 'linux',
  });
  const types: Readonly<Record<string, string>> = {
    ServiceAccount: 'V1ServiceAccount',
    ClusterRole: 'V1ClusterRole',
    ClusterRoleBinding: 'V1ClusterRoleBinding',
  };
  const ours = objects.filter(({ metadata }) => metadata.name.startsWith('kube-ipvs-migration'));
  assert.equal(ours.length, 4);
  for (const object of ours) assert.deepEqual(schemaFaults(object, types[object.kind] ?? 'unknown', ''), []);
  const roles = objects.filter(({ kind }) => kind === 'ClusterRole').map(({ metadata }) => metadata.name);
  for (const { roleRef } of ours.filter(({ kind }) => kind === 'ClusterRoleBinding'))
    assert.ok(roles.includes(roleRef.name), roleRef.name);
});
