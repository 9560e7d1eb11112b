import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { InputError } from '../../base/errors.js';
import { isRecord } from '../../base/records.js';
import { serviceProxyNameLabel } from '../../model/instance-names.js';
import type { DaemonPod } from '../../fleet/daemon-pods.js';
import { serviceTruth, type ServiceTruth } from '../../fleet/service-truth.js';
import { ApiClient, type CredentialSource, type RequestCredentials } from '../../watch/api/api-client.js';
import { loadCredentials } from '../../watch/api/credentials.js';
import { PodExec } from '../../watch/api/pod-exec.js';
import { toEndpointSlice, toService } from '../../watch/objects/parse-objects.js';
import { readPod, type PodShape } from '../../watch/objects/schemas.js';
import type { ClusterOptions } from './fleet-options.js';

/** The name of the daemon's container in the chart and the manifests. */
export const daemonContainer = 'kube-ipvs';

const requestMilliseconds = 30_000;
const pageSize = 500;

/** Credentials are read again after this time: a file may have been renewed. */
const credentialMilliseconds = 30_000;

/** As kubectl: --kubeconfig, else the files of $KUBECONFIG that exist, else ~/.kube/config; undefined in a pod. */
const kubeconfigFiles = (given: string | undefined): readonly string[] | undefined => {
  if (given !== undefined) return [given];
  const { KUBECONFIG: variable = '' } = process.env;
  const named = variable.split(delimiter).filter((file) => file !== '');
  const present = named.filter((file) => existsSync(file));
  if (named.length > 0 && present.length === 0)
    throw new InputError(`$KUBECONFIG: no such file: ${named.join(', ')}`);
  if (present.length > 0) return present;
  const own = join(homedir(), '.kube', 'config');
  return existsSync(own) ? [own] : undefined;
};

/** Reads credentials once for many requests, and impersonates on request. */
class SharedCredentials implements CredentialSource {
  #current: Promise<RequestCredentials> | undefined;
  #readAt = 0;

  constructor(
    private readonly source: CredentialSource,
    private readonly as: string | undefined,
  ) {}

  get server(): URL {
    return this.source.server;
  }

  current(): Promise<RequestCredentials> {
    if (this.#current === undefined || performance.now() - this.#readAt > credentialMilliseconds) {
      this.#readAt = performance.now();
      this.#current = this.#read();
    }
    return this.#current;
  }

  refresh(): Promise<void> {
    this.#current = undefined;
    return this.source.refresh();
  }

  async #read(): Promise<RequestCredentials> {
    const credentials = await this.source.current();
    if (this.as === undefined) return credentials;
    return { ...credentials, headers: { ...credentials.headers, 'Impersonate-User': this.as } };
  }
}

const obstacleOf = ({ status }: PodShape): string | undefined => {
  const container = status?.containerStatuses?.find(({ name }) => name === daemonContainer);
  if (container === undefined) return status?.phase || 'not started';
  const { running, waiting, terminated } = container.state ?? {};
  if (running) return undefined;
  return waiting?.reason || terminated?.reason || 'not running';
};

const daemonPod = (object: unknown): DaemonPod => {
  const pod = readPod(object);
  return {
    name: pod.metadata.name,
    node: pod.spec?.nodeName ?? '',
    createdAt: pod.metadata.creationTimestamp ?? '',
    isTerminating: Boolean(pod.metadata.deletionTimestamp),
    obstacle: obstacleOf(pod),
  };
};

const metadataOf = (object: unknown): Readonly<Record<string, unknown>> => {
  const metadata = isRecord(object) ? object['metadata'] : undefined;
  return isRecord(metadata) ? metadata : {};
};

/** kube-ipvs runs on Linux only. */
const isLinuxNode = (object: unknown): boolean => {
  const { labels } = metadataOf(object);
  return !isRecord(labels) || labels['kubernetes.io/os'] !== 'windows';
};

/** Reads what a command for all nodes needs of a cluster. */
export class Cluster implements Disposable {
  readonly exec: PodExec;
  readonly #client: ApiClient;

  private constructor(credentials: CredentialSource) {
    this.#client = new ApiClient(credentials, { protobuf: false });
    this.exec = new PodExec(credentials);
  }

  /** InputError for a kubeconfig that is missing or invalid. */
  static open({ kubeconfig, server, as, ...options }: ClusterOptions): Cluster {
    const source = loadCredentials({ ...options, kubeconfig: kubeconfigFiles(kubeconfig), master: server });
    return new Cluster(new SharedCredentials(source, as));
  }

  async daemonPods(namespace: string, selector: string): Promise<readonly DaemonPod[]> {
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`;
    return (await this.#list(path, { labelSelector: selector })).map(daemonPod);
  }

  /** The names of the Linux nodes; only metadata is read, because Nodes are large. */
  async nodes(selector: string | undefined): Promise<readonly string[]> {
    const items = await this.#list(
      '/api/v1/nodes',
      selector === undefined ? {} : { labelSelector: selector },
    );
    return items.filter(isLinuxNode).map((item) => String(metadataOf(item)['name']));
  }

  /** The Service and its endpoints. InputError for a Service that kube-ipvs does not serve, ApiError for one that does not exist. */
  async serviceTruth(namespace: string, name: string): Promise<ServiceTruth> {
    const base = `/namespaces/${encodeURIComponent(namespace)}`;
    const object = await this.#get(`/api/v1${base}/services/${encodeURIComponent(name)}`);
    const items = await this.#list(`/apis/discovery.k8s.io/v1${base}/endpointslices`, {
      labelSelector: `kubernetes.io/service-name=${name}`,
    });
    const { value: service } = toService(object, serviceProxyNameOf(object));
    if (service === undefined)
      throw new InputError(
        `Service ${namespace}/${name}: kube-ipvs does not serve headless and ExternalName Services.`,
      );
    const slices = items.flatMap((item) => toEndpointSlice(item, serviceProxyNameOf(item)).value ?? []);
    return serviceTruth(service, slices);
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  async #list(path: string, query: Readonly<Record<string, string>>): Promise<readonly unknown[]> {
    const items: unknown[] = [];
    let next = '';
    do {
      const parameters = new URLSearchParams({ ...query, limit: String(pageSize) });
      if (next !== '') parameters.set('continue', next);
      const list = await this.#get(`${path}?${parameters.toString()}`);
      const page = isRecord(list) ? list['items'] : undefined;
      if (Array.isArray(page)) items.push(...(page as readonly unknown[]));
      const token = metadataOf(list)['continue'];
      next = typeof token === 'string' ? token : '';
    } while (next !== '');
    return items;
  }

  async #get(path: string): Promise<unknown> {
    const response = await this.#client.open(path, {
      signal: AbortSignal.timeout(requestMilliseconds),
      milliseconds: requestMilliseconds,
    });
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    return response.format.object(Buffer.concat(chunks));
  }
}

/** Whatever instance serves the object, it is compared. */
const serviceProxyNameOf = (object: unknown): string => {
  const { labels } = metadataOf(object);
  const value = isRecord(labels) ? labels[serviceProxyNameLabel] : undefined;
  return typeof value === 'string' ? value : '';
};
