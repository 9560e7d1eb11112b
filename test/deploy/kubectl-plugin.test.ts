import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import type { V1ClusterRole, V1Role } from '@kubernetes/client-node';
import { parseYaml } from '../../src/base/yaml.js';
import { schemaFaults } from '../support/kubernetes-schema.js';
import { runPluginProgram } from '../support/plugin.js';
import { SimulatedFleet } from '../support/simulated-fleet.js';

// The Role and the policy for people who use `kubectl kube-ipvs`.

interface Manifest {
  readonly kind: string;
}

const manifestsIn = (name: string): readonly Manifest[] => {
  const path = fileURLToPath(new URL(`../../../deploy/kubectl-plugin/${name}`, import.meta.url));
  return parseYaml(readFileSync(path, 'utf8')).map(({ value }) => value as Manifest);
};

const rbac = manifestsIn('rbac.yaml');

test('every object has the fields and types of the Kubernetes API', () => {
  const manifests = [...rbac, ...manifestsIn('policy.yaml')];
  assert.equal(manifests.length, 6);
  for (const manifest of manifests)
    assert.deepEqual(schemaFaults(manifest, `V1${manifest.kind}`, ''), [], manifest.kind);
});

test('the roles allow the requests of all commands, and no others', async () => {
  const allowed = rbac
    .filter((one): one is Manifest & (V1Role | V1ClusterRole) => 'rules' in one)
    .flatMap(({ rules = [] }) => rules)
    .flatMap(({ verbs, resources = [] }) =>
      resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}`)),
    );
  await using fleet = await SimulatedFleet.start(['node-1', 'node-2']);
  for (const line of [
    'status',
    'explain shop/web',
    'diff',
    'dump',
    'doctor',
    'top --iterations 1 -d 200ms',
  ]) {
    const { status, stderr } = await runPluginProgram([...line.split(' '), '--kubeconfig', fleet.kubeconfig]);
    assert.equal(status, 0, stderr);
  }
  assert.ok(fleet.commands.length >= 12);
  const made = new Set(fleet.api.requests.map(({ verb, resource }) => `${verb} ${resource}`));
  // Which verb a command in a pod needs depends on the version of Kubernetes.
  assert.deepEqual([...made, 'get pods/exec', 'create pods/exec'].toSorted(), allowed.toSorted());
});

test('the policy allows each command that the plugin runs in pods, and none that changes a node', () => {
  const [policy] = manifestsIn('policy.yaml') as readonly (Manifest & {
    readonly spec: { readonly validations: readonly { readonly expression: string }[] };
  })[];
  const expression = policy?.spec.validations[0]?.expression ?? '';
  // CEL as JavaScript: both have these operators.
  const translated = expression
    .replaceAll('has(object.command)', 'object.command !== undefined')
    .replaceAll(/size\((.*?)\)/g, '$1.length')
    .replace(/(object\.command\[1\]) in (\[.*?\])/, '$2.includes($1)')
    .replace(/\.all\(word, (.*)\)$/s, '.every((word) => $1)');
  const allows = (object: object): boolean => runInNewContext(translated, { object }) as boolean;
  const isAllowed = (line: string): boolean => allows({ command: line.split(' ') });
  for (const line of [
    'status -o json',
    'explain shop/web -o json',
    'diff -o json',
    'dump -o json shop/web',
    'doctor -o json --quiet',
    'top --batch -o json',
  ])
    assert.equal(isAllowed(`kube-ipvs ${line}`), true, line);
  for (const line of [
    'sh',
    'node -e 1',
    'kube-ipvs',
    'kube-ipvs cleanup',
    'kube-ipvs diff --repair',
    'kube-ipvs diff -f x --repair',
    'kube-ipvs migrate node',
    'kube-ipvs --once',
  ])
    assert.equal(isAllowed(line), false, line);
  assert.equal(allows({}), false);
});
