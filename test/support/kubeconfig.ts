import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The text of a kubeconfig for a server; without a token its user has no credentials. */
export const kubeconfigFor = (server: string, token?: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server } }],
    users: [{ name: 'u', user: token === undefined ? {} : { token } }],
  });

/** A kubeconfig file in a directory of its own, with fields of the user and the cluster. */
export const kubeconfigFile = (server: string, user: object, cluster: object = {}): string => {
  const path = join(mkdtempSync(join(tmpdir(), 'kubeconfig-')), 'config');
  const config = JSON.parse(kubeconfigFor(server)) as object;
  const parts = {
    clusters: [{ name: 'c', cluster: { server, ...cluster } }],
    users: [{ name: 'u', user }],
  };
  writeFileSync(path, JSON.stringify({ ...config, ...parts }));
  return path;
};
