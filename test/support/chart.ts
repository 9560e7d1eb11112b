import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments, stringify } from 'yaml';
import { manifestShape, type Manifest } from './kustomization.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
export const chart = join(root, 'deploy/chart');

export type Values = Readonly<Record<string, unknown>>;

/** Runs helm or kubectl of scripts/cluster-tool. */
export const clusterTool = (args: readonly string[], input = '', env: NodeJS.ProcessEnv = {}) => {
  const options = { encoding: 'utf8', input, env: { ...process.env, ...env } } as const;
  return spawnSync(join(root, 'scripts/cluster-tool'), args, options);
};

/** The values that a cluster needs at least. */
export const leastValues: Values = { k8sServiceHost: '192.0.2.10' };

/** `helm template`, as a release of this name in kube-system. */
export const template = (values: Values, { release = 'kube-ipvs', from = chart } = {}) =>
  clusterTool(
    ['helm', 'template', release, from, '--namespace', 'kube-system', '--values', '-'],
    stringify(values),
  );

/** The objects that helm rendered. Throws with helm's message. */
export const objectsIn = ({ status, stdout, stderr }: ReturnType<typeof template>): readonly Manifest[] => {
  if (status !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout).map((document) => manifestShape.parse(document.toJS()));
};

/** The objects of the chart with these values. Throws with helm's message. */
export const objectsOf = (
  values: Values,
  options: Parameters<typeof template>[1] = {},
): readonly Manifest[] => objectsIn(template(values, options));
