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
