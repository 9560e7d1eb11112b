import { ApiClient } from '../../watch/api/api-client.js';
import { loadCredentials } from '../../watch/api/credentials.js';
import { proxyLabel, type LabelNode } from './proxy-switch.js';

export interface NodeLabelOptions {
  /** Undefined: the service account of this pod. */
  readonly kubeconfig: string | undefined;
  readonly master: string | undefined;
  readonly nodeName: string;
}

const requestTimeout = 10_000;

/**
 * Sets the label through the API server. The kubelet's own credential suffices: NodeRestriction lets a node set labels of its Node
 * outside kubernetes.io. Rejects with ApiError, for example without the permission to patch nodes.
 */
export const nodeLabel =
  ({ nodeName, ...credentials }: NodeLabelOptions): LabelNode =>
  async (value, { dryRun } = { dryRun: false }) => {
    using client = new ApiClient(loadCredentials(credentials));
    await client.change(
      `/api/v1/nodes/${encodeURIComponent(nodeName)}${dryRun ? '?dryRun=All' : ''}`,
      {
        method: 'PATCH',
        contentType: 'application/merge-patch+json',
        body: { metadata: { labels: { [proxyLabel.key]: value ?? null } } },
      },
      { signal: AbortSignal.timeout(requestTimeout), milliseconds: requestTimeout },
    );
  };
