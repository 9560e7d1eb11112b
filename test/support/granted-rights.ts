import { readFileSync } from 'node:fs';
import { parseYaml } from '../../src/base/yaml.js';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

const isRole = (value: unknown): value is { readonly rules: readonly Rule[] } =>
  typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'ClusterRole';

/** What deploy/base/rbac.yaml lets the daemon do, each right as `VERB GROUP/RESOURCE`; sorted. */
export const grantedRights = (): readonly string[] =>
  parseYaml(readFileSync('deploy/base/rbac.yaml', 'utf8'))
    .flatMap(({ value }) => (isRole(value) ? value.rules : []))
    .flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
      ),
    )
    .toSorted();
