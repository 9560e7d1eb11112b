import { existsSync, readFileSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { isAbsolute, join, dirname } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import type { User } from '@kubernetes/client-node/dist/config_types.js';
import { BaseError, InputError, messageOf } from '../../base/errors.js';
import { isRecord } from '../../base/records.js';
import { parseYaml } from '../../base/yaml.js';
import type { CredentialSource, Headers, RequestCredentials } from './api-client.js';

export interface CredentialOptions {
  /** A kubeconfig file, or several that are merged as kubectl merges $KUBECONFIG; undefined: the service account of this pod. */
  readonly kubeconfig?: string | readonly string[] | undefined;
  /** What replaces the current context of the kubeconfig, and the cluster, user and token of the context. */
  readonly context?: string | undefined;
  readonly cluster?: string | undefined;
  readonly user?: string | undefined;
  readonly token?: string | undefined;
  /** URL of the API server, which overrides that of the kubeconfig (`--master`). */
  readonly master?: string | undefined;
  /** The directory with `var/run/secrets/kubernetes.io/serviceaccount`; '' (the root) except in tests. */
  readonly serviceAccountRoot?: string;
}

/** Time limit for an exec plugin, milliseconds. */
const credentialMilliseconds = 60_000;

const loadFile = (file: string): KubeConfig => {
  const config = new KubeConfig();
  try {
    config.loadFromFile(file);
  } catch (error) {
    throw new InputError(`kubeconfig ${file}: ${messageOf(error)}`);
  }
  useTokenFiles(config, file);
  return config;
};

const addNew = <Entry extends { readonly name: string }>(
  known: readonly Entry[],
  others: readonly Entry[],
): Entry[] => [...known, ...others.filter(({ name }) => known.every((one) => one.name !== name))];

/** Of two entries with the same name, and of two current contexts, the first wins, as in client-go. */
const mergeConfigs = (merged: KubeConfig, next: KubeConfig): KubeConfig => {
  merged.clusters = addNew(merged.clusters, next.clusters);
  merged.users = addNew(merged.users, next.users);
  merged.contexts = addNew(merged.contexts, next.contexts);
  if (!merged.currentContext) merged.currentContext = next.currentContext;
  return merged;
};

const loadKubeconfig = (files: readonly string[], options: CredentialOptions): KubeConfig => {
  const config = files.map(loadFile).reduce(mergeConfigs);
  const named = `kubeconfig ${files.join(', ')}`;
  selectContext(config, options, named);
  if (config.getCurrentCluster() === null)
    throw new InputError(
      `${named}: current-context ${JSON.stringify(config.getCurrentContext() ?? '')} names no context with a cluster`,
    );
  setExecPluginInfo(config);
  return config;
};

/** The names must exist: a misspelled one must not reach another cluster. */
const selectContext = (
  config: KubeConfig,
  { context, cluster, user, token }: CredentialOptions,
  named: string,
): void => {
  const requireName = (
    kind: string,
    name: string | undefined,
    entries: readonly { name: string }[],
  ): void => {
    if (name !== undefined && entries.every((entry) => entry.name !== name))
      throw new InputError(`${named}: no ${kind} ${JSON.stringify(name)}`);
  };
  requireName('context', context, config.contexts);
  requireName('cluster', cluster, config.clusters);
  requireName('user', user, config.users);
  if (context !== undefined) config.setCurrentContext(context);
  const current = config.getCurrentContext();
  config.contexts = config.contexts.map((one) =>
    one.name === current ? { ...one, cluster: cluster ?? one.cluster, user: user ?? one.user } : one,
  );
  const selected = config.getCurrentUser();
  if (token !== undefined && selected !== null) replaceUser(config, { name: selected.name, token });
};

const loadServiceAccount = (root: string): KubeConfig => {
  const folder = `${root}/var/run/secrets/kubernetes.io/serviceaccount`;
  if (process.env['KUBERNETES_SERVICE_HOST'] === undefined || !existsSync(`${folder}/token`))
    throw new InputError(
      `no API server: give --kubeconfig or --master, or run in a pod with a service account (KUBERNETES_SERVICE_HOST and ${folder}/token)`,
    );
  const config = new KubeConfig();
  config.loadFromCluster(root);
  return config;
};

const loadMaster = (server: string): KubeConfig => {
  const config = new KubeConfig();
  config.loadFromClusterAndUser({ name: 'master', server, skipTLSVerify: false }, { name: 'nobody' });
  return config;
};

/** The client ignores `tokenFile` of a kubeconfig's user, which bound service account tokens need; it re-reads a token file elsewhere. */
const useTokenFiles = (config: KubeConfig, file: string): void => {
  const tokenFiles = tokenFilesOf(readFileSync(file, 'utf8'));
  config.users = config.users.map((user) => {
    const tokenFile = tokenFiles.get(user.name);
    if (tokenFile === undefined) return user;
    const path = isAbsolute(tokenFile) ? tokenFile : join(dirname(file), tokenFile);
    // As in client-go, the file overrides an inline token.
    const { token: _, ...rest } = user;
    return { ...rest, authProvider: { name: 'tokenFile', config: { tokenFile: path } } };
  });
};

const tokenFilesOf = (kubeconfig: string): ReadonlyMap<string, string> => {
  const document = parseYaml(kubeconfig)[0]?.value;
  const users: unknown = isRecord(document) ? document['users'] : undefined;
  const entries: readonly unknown[] = Array.isArray(users) ? users : [];
  return new Map(
    entries.flatMap((entry) => {
      const fields = isRecord(entry) ? entry['user'] : undefined;
      const tokenFile = isRecord(fields) ? fields['tokenFile'] : undefined;
      return isRecord(entry) && typeof tokenFile === 'string' ? [[String(entry['name']), tokenFile]] : [];
    }),
  );
};

/** Exec plugins read the requested API version from KUBERNETES_EXEC_INFO, which the client does not set. */
const setExecPluginInfo = (config: KubeConfig): void => {
  const user = config.getCurrentUser();
  const exec: unknown = user?.exec;
  if (user === null || !isRecord(exec)) return;
  const { apiVersion, env } = exec;
  const variables: readonly unknown[] = Array.isArray(env) ? env : [];
  const info = {
    apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: false, ...clusterInfo(config, exec) },
  };
  const value = JSON.stringify(info);
  replaceUser(config, {
    ...user,
    exec: { ...exec, env: [{ name: 'KUBERNETES_EXEC_INFO', value }, ...variables] },
  });
};

const clusterInfo = (config: KubeConfig, exec: Readonly<Record<string, unknown>>): object => {
  const cluster = config.getCurrentCluster();
  if (exec['provideClusterInfo'] !== true || cluster === null) return {};
  return {
    cluster: {
      server: cluster.server,
      'tls-server-name': cluster.tlsServerName,
      'insecure-skip-tls-verify': cluster.skipTLSVerify,
      'certificate-authority-data':
        cluster.caData ?? (cluster.caFile && readFileSync(cluster.caFile, 'base64')),
    },
  };
};

const replaceUser = (config: KubeConfig, user: User): void => {
  config.users = config.users.map((other) => (other.name === user.name ? user : other));
};

const load = (options: CredentialOptions): KubeConfig => {
  const { kubeconfig, master, serviceAccountRoot = '' } = options;
  const config =
    kubeconfig !== undefined
      ? loadKubeconfig([kubeconfig].flat(), options)
      : master !== undefined
        ? loadMaster(master)
        : loadServiceAccount(serviceAccountRoot);
  const cluster = config.getCurrentCluster();
  const server = master ?? cluster?.server ?? '';
  config.clusters = config.clusters.map((other) =>
    other.name === cluster?.name
      ? // The client refuses plain HTTP unless verification is off; plain HTTP has nothing to verify.
        { ...other, server, skipTLSVerify: other.skipTLSVerify || server.startsWith('http:') }
      : other,
  );
  // Without a user the client ignores the cluster's certificate authority.
  if (config.getCurrentUser() === null) {
    config.users = [...config.users, { name: 'nobody' }];
    config.contexts = config.contexts.map((context) =>
      context.name === config.currentContext ? { ...context, user: 'nobody' } : context,
    );
  }
  return config;
};

const serverUrl = (config: KubeConfig): URL => {
  const server = config.getCurrentCluster()?.server ?? '';
  if (/^https?:\/\//.test(server) && URL.canParse(server)) return new URL(server);
  throw new InputError(`API server address ${JSON.stringify(server)}: not an http or https URL`);
};

const headersOf = (options: RequestOptions): Headers => {
  const headers: Record<string, string> = {};
  // A token file ends with a line break, which a header must not contain.
  for (const [name, value] of Object.entries(options.headers ?? {}))
    if (typeof value === 'string') headers[name] = value.trim();
  if (options.auth) headers['Authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  return headers;
};

const textOrBytes = (value: unknown): string | Buffer | undefined =>
  typeof value === 'string' || Buffer.isBuffer(value) ? value : undefined;

const withTimeout = async <T>(work: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new BaseError(`no credential within ${credentialMilliseconds / 1000} s`)),
      credentialMilliseconds,
    );
  });
  return Promise.race([work, timeout]).finally(() => clearTimeout(timer));
};

class KubeConfigCredentials implements CredentialSource {
  readonly server: URL;
  #config: KubeConfig;

  constructor(private readonly options: CredentialOptions) {
    this.#config = load(options);
    this.server = serverUrl(this.#config);
  }

  async current(): Promise<RequestCredentials> {
    const options: RequestOptions = {};
    await withTimeout(this.#config.applyToHTTPSOptions(options));
    const { servername, rejectUnauthorized } = options;
    const proxied = this.#config.getCurrentCluster()?.proxyUrl !== undefined;
    return {
      headers: headersOf(options),
      tls: {
        ca: textOrBytes(options.ca),
        cert: textOrBytes(options.cert),
        key: textOrBytes(options.key),
        servername,
        rejectUnauthorized,
      },
      agent: proxied && typeof options.agent === 'object' ? options.agent : undefined,
    };
  }

  /** A new KubeConfig has no cached tokens and reads the kubeconfig file again. */
  async refresh(): Promise<void> {
    this.#config = load(this.options);
  }
}

/**
 * Credentials from a kubeconfig (tokens, token files, certificates, exec plugins, passwords, proxies) or a pod's service
 * account. Missing or invalid ones are an InputError.
 */
export const loadCredentials = (options: CredentialOptions): CredentialSource =>
  new KubeConfigCredentials(options);
