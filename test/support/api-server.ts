import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import {
  sendStatus,
  sendResponse,
  badContinue,
  beginResponse,
  expiredContinue,
  noSuchObject,
  notFound,
  noWatchList,
  plannedStatus,
  statusObject,
  tooLarge,
  tooOld,
  unauthorized,
  unsupportedMediaType,
  type StatusFields,
} from './api-responses.js';
import { encodingFor } from './api-encoding.js';
import { FaultPlans, type Fault, type FaultPlan, type Verb } from './api-faults.js';
import { ApiEventSink, isRefused, type ApiEvent } from './api-events.js';
import {
  ApiObjects,
  objectKey,
  selectorOf,
  type ApiObject,
  type Kind,
  type Selector,
} from './api-objects.js';
import { serveExec, type ExecHandler } from './api-exec.js';
import { Outlet, WatchStream } from './api-streams.js';

export interface ApiServerOptions {
  /** Served by TLS with these; plain HTTP where absent. */
  readonly tls?: ServerOptions;
  /** Where it listens; the loopback address where nothing is said. */
  readonly host?: string;
  /** Only requests with this bearer token (or one that a function accepts) are served. */
  readonly token?: string | (() => string);
  /** `served`; `refused`: 422, as servers without the feature; `ignored`: as servers that know nothing of it. */
  readonly watchList?: 'served' | 'refused' | 'ignored';
  /** Between two bookmarks of a watch; none where absent. */
  readonly bookmarkMilliseconds?: number;
  /** Goes before all paths, as behind a proxy of several clusters. */
  readonly pathPrefix?: string;
  /** `json`: as a server or proxy that does not know protobuf. */
  readonly format?: 'json';
  /** Runs the commands of `kubectl exec`. */
  readonly exec?: ExecHandler;
}

export interface SeenRequest {
  readonly resource: string;
  readonly verb: Verb;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  /** One number a TCP connection. */
  readonly connection: number;
}

interface Collection {
  readonly resource: string;
  readonly kind: Kind;
}

const collections: ReadonlyMap<string, Collection> = new Map([
  ['/api/v1/services', { resource: 'services', kind: 'Service' }],
  ['/apis/discovery.k8s.io/v1/endpointslices', { resource: 'endpointslices', kind: 'EndpointSlice' }],
  ['/api/v1/nodes', { resource: 'nodes', kind: 'Node' }],
  ['/api/v1/pods', { resource: 'pods', kind: 'Pod' }],
]);

/** The objects of one kind in a namespace, or one of them. */
const namespacedPath =
  /^(\/api\/v1|\/apis\/discovery\.k8s\.io\/v1)\/namespaces\/([^/]+)\/(services|pods|endpointslices)(?:\/([^/]+))?$/;

const namespacedKinds: Readonly<Record<string, Kind>> = {
  services: 'Service',
  pods: 'Pod',
  endpointslices: 'EndpointSlice',
};

interface Namespaced {
  readonly kind: Kind;
  readonly resource: string;
  readonly namespace: string;
  readonly name: string | undefined;
}

const namespacedOf = (path: string): Namespaced | undefined => {
  const [, , namespace, resource = '', name] = namespacedPath.exec(path) ?? [];
  const kind = namespacedKinds[resource];
  return kind === undefined || namespace === undefined ? undefined : { kind, resource, namespace, name };
};

/** The pods of a namespace. */
const podsPath = /^\/api\/v1\/namespaces\/([^/]+)\/pods$/;

/** With the namespace of the path as one more field selector. */
const withNamespace = (path: string, query: URLSearchParams): URLSearchParams => {
  const namespace = podsPath.exec(path)?.[1];
  if (namespace === undefined) return query;
  const fields = [query.get('fieldSelector') ?? '', `metadata.namespace=${namespace}`];
  return new URLSearchParams([
    ...[...query].filter(([name]) => name !== 'fieldSelector'),
    ['fieldSelector', fields.filter((field) => field !== '').join(',')],
  ]);
};

/** The Events of a namespace, or one of them. */
const eventsPath = /^\/apis\/events\.k8s\.io\/v1\/namespaces\/([^/]+)\/events(?:\/([^/]+))?$/;

/** What kubectl reads before it runs a command in a pod. */
const discovery: Readonly<Record<string, object>> = {
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [{ name: 'pods', singularName: 'pod', namespaced: true, kind: 'Pod', verbs: ['get', 'list'] }],
  },
};

/** Answers of which no client here reads the body are in JSON only. */
const inJson = { 'content-type': 'application/json' } as const;

/** One Node. */
const nodePath = /^\/api\/v1\/nodes\/([^/]+)$/;

const verbOf = ({ method }: IncomingMessage, query: URLSearchParams): Verb => {
  if (method === 'POST') return 'create';
  if (method === 'PATCH') return 'patch';
  if (query.get('watch') !== 'true') return query.get('continue') === null ? 'list' : 'page';
  return query.get('sendInitialEvents') === 'true' ? 'watchlist' : 'watch';
};

/** A small Kubernetes API server: Services, EndpointSlices and Nodes to list and watch, Events to tell, and faults on demand. */
export class ApiServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #options: ApiServerOptions;
  readonly #objects = new ApiObjects();
  readonly #faults = new FaultPlans();
  readonly #requests: SeenRequest[] = [];
  readonly #events = new ApiEventSink();
  readonly #streams = new Set<ServerResponse>();
  readonly #connections = new Map<object, number>();
  /** All open ones: the HTTP server's closeAllConnections leaves out those whose TLS handshake is not over. */
  readonly #sockets = new Set<Socket>();
  readonly #bookmarkers = new Set<() => void>();
  readonly #enders = new Set<() => void>();
  #connectionCount = 0;

  private constructor(options: ApiServerOptions) {
    this.#options = options;
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      this.#serve(request, response).catch((error: unknown) => response.destroy(error as Error));
    };
    this.#server =
      options.tls === undefined ? createServer(listener) : createTlsServer(options.tls, listener);
    this.#server.on(options.tls === undefined ? 'connection' : 'secureConnection', (socket: object) => {
      this.#connectionCount += 1;
      this.#connections.set(socket, this.#connectionCount);
    });
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#server.keepAliveTimeout = 60_000;
    const { exec } = options;
    if (exec !== undefined)
      this.#server.on(
        'upgrade',
        serveExec(exec, (request) => this.#admits(request)),
      );
  }

  /** Listens on a free port, or on the port given. */
  static async start(options: ApiServerOptions & { readonly port?: number } = {}): Promise<ApiServer> {
    const server = new ApiServer(options);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject);
      server.#server.listen(options.port ?? 0, server.#host, resolve);
    });
    return server;
  }

  get #host(): string {
    return this.#options.host ?? '127.0.0.1';
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    const scheme = this.#options.tls === undefined ? 'http' : 'https';
    return `${scheme}://${this.#host}:${this.port}${this.#options.pathPrefix ?? ''}`;
  }

  /** Creates or updates an object; resourceVersion, uid and creationTimestamp are given to it where it has none. */
  put(...objects: readonly ApiObject[]): void {
    for (const object of objects) this.#objects.put(object);
  }

  /** `key` is `namespace/name`, of a Node its name. */
  delete(kind: Kind, key: string): void {
    this.#objects.delete(kind, key);
  }

  list(kind: Kind): readonly ApiObject[] {
    return this.#objects.list(kind);
  }

  get version(): number {
    return this.#objects.version;
  }

  /** Forgets the history, as etcd's compaction does: older versions are answered with 410. */
  compact(): void {
    this.#objects.compact();
  }

  /** As after a restore of etcd: versions go on from this one, below what clients have seen. */
  rewind(version: number): void {
    this.#objects.rewind(version);
  }

  /** Makes something go wrong with requests to come. */
  fail(plan: FaultPlan): void {
    this.#faults.add(plan);
  }

  /** From now on nothing goes wrong. */
  heal(): void {
    this.#faults.clear();
  }

  get pendingFaults(): number {
    return this.#faults.pending;
  }

  get requests(): readonly SeenRequest[] {
    return this.#requests;
  }

  /** The Events that were created, in that order, as they are now. */
  get events(): readonly ApiEvent[] {
    return this.#events.list();
  }

  /** As when the hour that Events are kept is over. */
  expireEvents(): void {
    this.#events.expire();
  }

  get connectionCount(): number {
    return this.#connectionCount;
  }

  /** Streams that are open now. */
  get openStreams(): number {
    return this.#streams.size;
  }

  /** Resets all connections, as a crash of the server does. */
  dropConnections(): void {
    for (const response of this.#streams) response.socket?.resetAndDestroy();
    this.#closeConnections();
  }

  /** Sends a bookmark with the current version on each watch at once. */
  sendBookmarks(): void {
    for (const send of this.#bookmarkers) send();
  }

  /** Ends each watch as its time-out does; the client then watches anew. */
  endWatches(): void {
    for (const end of this.#enders) end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#closeConnections();
    await closed;
  }

  #closeConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://server');
    if (this.#options.format === 'json') request.headers.accept = 'application/json';
    const path = url.pathname.replace(this.#options.pathPrefix ?? '', '');
    const collection = collections.get(podsPath.test(path) ? '/api/v1/pods' : path);
    const admitted = this.#admits(request);
    const namespaced = collection === undefined ? namespacedOf(path) : undefined;
    const [, namespace, eventName] = eventsPath.exec(path) ?? [];
    const nodeName = nodePath.exec(path)?.[1];
    const known =
      collection?.resource ?? namespaced?.resource ?? (namespace && 'events') ?? (nodeName && 'nodes');
    const isSingle = nodeName !== undefined || namespaced?.name !== undefined;
    const verb = known === undefined || isSingle ? 'get' : verbOf(request, url.searchParams);
    this.#requests.push({
      resource: known ?? path,
      verb,
      path,
      query: url.searchParams,
      headers: request.headers,
      connection: this.#connections.get(request.socket) ?? 0,
    });
    if (!admitted) return sendStatus(response, unauthorized);
    if (known === undefined) return this.#serveOther(path, response);
    const fault = this.#faults.take(known, verb);
    if (fault?.fault === 'no-answer') return;
    if (fault?.fault === 'refuse') return void response.destroy();
    if (fault?.fault === 'status') return answerPlanned(response, fault);
    if (nodeName !== undefined) return this.#serveNode(decodeURIComponent(nodeName), response);
    if (namespace !== undefined) return this.#takeEvent(request, namespace, eventName, response);
    if (namespaced !== undefined) return this.#serveNamespaced(namespaced, url.searchParams, response, fault);
    if (collection === undefined) return sendStatus(response, notFound);
    const query = withNamespace(path, url.searchParams);
    if (verb === 'watch' || verb === 'watchlist')
      return this.#watch(collection.kind, query, verb, response, fault);
    return this.#list(collection.kind, query, response, fault);
  }

  #admits({ headers }: IncomingMessage): boolean {
    const { token } = this.#options;
    const wanted = typeof token === 'function' ? token() : token;
    return wanted === undefined || headers.authorization === `Bearer ${wanted}`;
  }

  #serveNamespaced(
    { kind, resource, namespace, name }: Namespaced,
    query: URLSearchParams,
    response: ServerResponse,
    fault: Fault | undefined,
  ): Promise<void> | void {
    if (name === undefined)
      return this.#list(kind, query, response, fault, ({ metadata }) => metadata.namespace === namespace);
    const key = `${namespace}/${decodeURIComponent(name)}`;
    const object = this.#objects.list(kind).find((one) => objectKey(one) === key);
    if (object === undefined) return sendStatus(response, noSuchObject(resource, name));
    sendResponse(response, 200, encodingFor(response).object(object));
  }

  #serveOther(path: string, response: ServerResponse): void {
    if (path === '/version')
      return sendResponse(response, 200, JSON.stringify({ major: '1', minor: '36' }, undefined, 2), inJson);
    const document = discovery[path];
    if (document === undefined) return sendStatus(response, notFound);
    sendResponse(response, 200, JSON.stringify(document), inJson);
  }

  #serveNode(name: string, response: ServerResponse): void {
    const node = this.#objects.list('Node').find(({ metadata }) => metadata.name === name);
    if (node === undefined) return sendStatus(response, noSuchObject('nodes', name));
    sendResponse(response, 200, encodingFor(response).object(node));
  }

  async #takeEvent(
    request: IncomingMessage,
    namespace: string,
    name: string | undefined,
    response: ServerResponse,
  ): Promise<void> {
    const { method = '', headers } = request;
    const wanted = name === undefined ? 'POST application/json' : 'PATCH application/merge-patch+json';
    if (`${method} ${headers['content-type']}` !== wanted) return sendStatus(response, unsupportedMediaType);
    const body: unknown = JSON.parse(await bodyOf(request));
    const answer =
      name === undefined
        ? this.#events.create(namespace, body as ApiEvent)
        : this.#events.patch(namespace, name, body as Readonly<Record<string, unknown>>);
    if (isRefused(answer)) return sendStatus(response, answer);
    sendResponse(response, name === undefined ? 201 : 200, `${JSON.stringify(answer)}\n`, inJson);
  }

  async #list(
    kind: Kind,
    query: URLSearchParams,
    response: ServerResponse,
    fault: Fault | undefined,
    isIncluded: Selector = () => true,
  ): Promise<void> {
    const asked = Number(query.get('resourceVersion') ?? '0');
    const token = parseContinue(query.get('continue'));
    if (token === 'broken') return sendStatus(response, badContinue);
    if (token !== undefined && token.version < this.#objects.compacted)
      return sendStatus(response, expiredContinue);
    if (asked > this.#objects.version) return sendStatus(response, tooLarge(asked, this.#objects.version), 1);
    const version = token?.version ?? this.#objects.version;
    const selected = this.#objects.listAt(kind, version).filter(isIncluded).filter(selectorOf(query));
    const rest =
      token === undefined ? selected : selected.filter((object) => objectKey(object) > token.start);
    const limit = Number(query.get('limit') ?? '0') || rest.length;
    const page = rest.slice(0, limit);
    const last = page.at(-1);
    const more = page.length < rest.length && last !== undefined;
    const metadata = {
      resourceVersion: String(version),
      ...(more && { continue: formatContinue({ version, start: objectKey(last) }) }),
    };
    const encoding = encodingFor(response);
    const { parts, end } = encoding.list({ kind, metadata, items: page });
    beginResponse(response, 200);
    const outlet = new Outlet(response, encoding, fault);
    for (const part of parts) await outlet.write(part);
    await outlet.end(end);
  }

  async #watch(
    kind: Kind,
    query: URLSearchParams,
    verb: 'watch' | 'watchlist',
    response: ServerResponse,
    fault: Fault | undefined,
  ): Promise<void> {
    const { watchList = 'served' } = this.#options;
    if (verb === 'watchlist' && watchList === 'refused') return sendStatus(response, noWatchList);
    const encoding = encodingFor(response);
    beginResponse(response, 200, { 'content-type': encoding.streamType });
    response.flushHeaders();
    const outlet = new Outlet(response, encoding, fault);
    const asked = query.get('resourceVersion');
    const version = asked === null || asked === '' ? 0 : Number(asked);
    if (version !== 0 && version < this.#objects.compacted) {
      const status = tooOld(version, this.#objects.compacted);
      return outlet.end(encoding.event({ type: 'ERROR', object: statusObject(status) }));
    }
    const stream = new WatchStream(kind, selectorOf(query), this.#objects, outlet);
    this.#streams.add(response);
    const stops = [
      this.#objects.listen((changed, entry) => changed === kind && stream.add(entry)),
      this.#bookmarking(() => query.get('allowWatchBookmarks') === 'true' && stream.bookmark()),
      this.#ending(query, () => stream.end()),
    ];
    response.on('close', () => {
      this.#streams.delete(response);
      for (const stop of stops) stop();
    });
    if (version === 0) stream.initial({ endMark: verb === 'watchlist' && watchList === 'served' });
    else for (const entry of this.#objects.since(kind, version)) stream.add(entry);
    await stream.run();
  }

  #bookmarking(send: () => void): () => void {
    const { bookmarkMilliseconds } = this.#options;
    const timer = bookmarkMilliseconds === undefined ? undefined : setInterval(send, bookmarkMilliseconds);
    this.#bookmarkers.add(send);
    return () => {
      clearInterval(timer);
      this.#bookmarkers.delete(send);
    };
  }

  #ending(query: URLSearchParams, end: () => void): () => void {
    const seconds = Number(query.get('timeoutSeconds') ?? '1800');
    const timer = setTimeout(end, seconds * 1000);
    this.#enders.add(end);
    return () => {
      clearTimeout(timer);
      this.#enders.delete(end);
    };
  }
}

const answerPlanned = (response: ServerResponse, fault: Extract<Fault, { fault: 'status' }>): void => {
  if (fault.html === true) {
    response.writeHead(fault.status, { 'content-type': 'text/html' });
    response.end('<html><body><h1>Bad Gateway</h1></body></html>');
    return;
  }
  const status: StatusFields = plannedStatus(fault);
  sendStatus(response, status, fault.retryAfterSeconds);
};

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('utf8');
};

interface ContinueToken {
  readonly version: number;
  readonly start: string;
}

const formatContinue = ({ version, start }: ContinueToken): string =>
  Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: version, start: `/${start}\u0000` })).toString(
    'base64url',
  );

const parseContinue = (text: string | null): ContinueToken | 'broken' | undefined => {
  if (text === null || text === '') return undefined;
  try {
    const { rv, start } = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as {
      rv: number;
      start: string;
    };
    return { version: rv, start: start.slice(1, -1) };
  } catch {
    return 'broken';
  }
};
