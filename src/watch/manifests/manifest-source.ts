import { watch, type FSWatcher } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { SerialQueue } from '../../base/async.js';
import { InputError, messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';
import type { Node, NodeState } from '../../model/node.js';
import type { ClusterStore } from '../store/cluster-store.js';
import { mergeManifests, readManifest, type Manifest, isManifestName } from './manifests.js';
import { ProblemLog } from '../problem-log.js';
import type { Source } from '../source.js';

export interface ManifestSourceOptions {
  /** A file, or a folder whose `.yaml`, `.yml` and `.json` files are read, without subfolders. */
  readonly path: string;
  /** The Node object of this name is this node. */
  readonly nodeName: string;
  /** The Services of this name in their label are served; '', the default: those without the label. */
  readonly serviceProxyName?: string;
  readonly logger: Logger;
  /** A file is read once it has not changed for so long, milliseconds, because part of a file can be valid too. */
  readonly settleMilliseconds?: number;
  /** Interval of the check that does not depend on notifications, milliseconds. */
  readonly pollMilliseconds?: number;
}

/** More than the manifests of any cluster; a larger file might not fit into memory. */
const largestFileBytes = 128 * 1024 * 1024;

/** State of a file. Its fingerprint changes with every write, rename or replaced symbolic link. */
interface KnownFile {
  /** From the last check; undefined: the file did not exist. */
  currentFingerprint: string | undefined;
  /** Of the content that was read last; undefined: none yet. */
  readFingerprint: string | undefined;
  /** The last content that was read without an error. */
  manifest: Manifest | undefined;
}

const list = async (path: string): Promise<readonly string[]> => {
  if (!(await stat(path)).isDirectory()) return [path];
  const names = await readdir(path);
  return names.filter(isManifestName).map((name) => join(path, name));
};

const fingerprint = async (file: string): Promise<string | undefined> => {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch (error) {
    // Deleted meanwhile, or a dangling link; any other error comes again when the file is read.
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? undefined : `unreadable: ${code}`;
  }
};

/** The text of a file. Throws for one that is too large, and for a FIFO, which blocks until a program writes to it, unless it was named. */
const textOf = async (file: string, wasNamed: boolean): Promise<string> => {
  const found = await stat(file);
  if (!found.isFile() && !wasNamed) throw new InputError(`${file} is not a regular file: move it elsewhere`);
  if (found.size > largestFileBytes)
    throw new InputError(`${file} has ${found.size} bytes, more than ${largestFileBytes}: split it`);
  return await readFile(file, 'utf8');
};

/** Follows the manifests of a file or folder: their merged objects reach the store in one step after each change. */
class ManifestSource implements Source {
  readonly name: string;
  readonly #options: Required<ManifestSourceOptions>;
  readonly #problems: ProblemLog;
  readonly #queue = new SerialQueue();
  readonly #files = new Map<string, KnownFile>();
  /** By file; those of the file or folder as such by the source's name, as a file may have both. */
  readonly #errors = new Map<string, string>();
  #store: ClusterStore | undefined;
  #watcher: FSWatcher | undefined;
  /** Device and inode of the watched folder: its name may refer to another folder later. */
  #watched: string | undefined;
  #poll: NodeJS.Timeout | undefined;
  #nextCheck: NodeJS.Timeout | undefined;
  #nodes: ReadonlyMap<string, Node> = new Map();
  readonly #nodesSeen = new Set<string>();
  #failures = 0;
  #delivered = false;
  #stopped = false;

  constructor(options: ManifestSourceOptions) {
    this.#options = { settleMilliseconds: 50, pollMilliseconds: 10_000, serviceProxyName: '', ...options };
    this.#problems = new ProblemLog(options.logger);
    this.name = `manifests ${resolve(options.path)}`;
  }

  start(store: ClusterStore): void {
    this.#store = store;
    this.#poll = setInterval(() => this.#check(), this.#options.pollMilliseconds);
    this.#check({ settled: true });
  }

  health() {
    return { delivered: this.#delivered, lastError: [...this.#errors.values()][0] };
  }

  /** A Node that was never in a manifest counts as present: manifests need not contain Nodes. */
  async nodeState(name: string): Promise<NodeState> {
    return !this.#nodes.has(name) && this.#nodesSeen.has(name) ? 'gone' : 'there';
  }

  counts() {
    return {
      resources: new Map<string, never>(),
      manifests: { failures: this.#failures, broken: this.#errors.size },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#poll);
    clearTimeout(this.#nextCheck);
    this.#unwatch();
    await this.#queue.run(async () => {});
  }

  /** Checks now. `settled`: changed files are read at once, without waiting until they stop changing. */
  #check(options: { readonly settled?: boolean } = {}): void {
    void this.#queue.run(async () => {
      if (this.#stopped) return;
      await this.#watch();
      const files = await this.#list();
      if (files !== undefined) await this.#update(files, options.settled ?? false);
    });
  }

  #checkSoon(): void {
    this.#nextCheck ??= setTimeout(() => {
      this.#nextCheck = undefined;
      this.#check();
    }, this.#options.settleMilliseconds);
  }

  /** A file is watched through its folder, because editors replace the file. Where watching fails, the periodic check remains. */
  async #watch(): Promise<void> {
    const { path } = this.#options;
    const folder = await stat(path).then(
      (found) => (found.isDirectory() ? path : dirname(path)),
      () => dirname(path),
    );
    const identity = await stat(folder, { bigint: true }).then(
      ({ dev, ino }) => `${dev} ${ino}`,
      () => undefined,
    );
    if (this.#watched === identity || this.#stopped) return;
    this.#unwatch();
    try {
      this.#watcher = watch(folder, () => this.#checkSoon());
      this.#watcher.on('error', () => this.#unwatch());
      this.#watched = identity;
    } catch (error) {
      this.#options.logger.debug(
        { event: 'folder-not-watched', folder, error: messageOf(error) },
        'Folder not watched; it is read periodically',
      );
    }
  }

  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#watched = undefined;
  }

  async #list(): Promise<readonly string[] | undefined> {
    const { path } = this.#options;
    try {
      const files = await list(path);
      this.#report(this.name, undefined);
      return files;
    } catch (error) {
      // A missing folder leaves the desired state unknown; it does not mean an empty desired state.
      this.#report(this.name, `${path}: ${messageOf(error)}`);
      return undefined;
    }
  }

  async #update(files: readonly string[], settled: boolean): Promise<void> {
    let changed = false;
    for (const file of new Set([...this.#files.keys(), ...files])) {
      const known = this.#files.get(file) ?? {
        currentFingerprint: undefined,
        readFingerprint: undefined,
        manifest: undefined,
      };
      this.#files.set(file, known);
      const now = files.includes(file) ? await fingerprint(file) : undefined;
      const steady = settled || now === known.currentFingerprint;
      known.currentFingerprint = now;
      if (now === known.readFingerprint && now !== undefined) continue;
      if (!steady) this.#checkSoon();
      else changed = (await this.#read(file, known)) || changed;
    }
    if (changed || !this.#delivered) this.#deliver();
  }

  /** Whether the desired state may have changed. */
  async #read(file: string, known: KnownFile): Promise<boolean> {
    const had = known.manifest !== undefined;
    known.readFingerprint = known.currentFingerprint;
    if (known.currentFingerprint === undefined) {
      this.#files.delete(file);
      this.#report(file, undefined);
      return had;
    }
    try {
      const text = await textOf(file, file === this.#options.path);
      // A shell empties the file before the program that writes it starts.
      if (text === '' && known.manifest !== undefined && known.manifest.objects.length > 0)
        throw new InputError(`${file} is empty: delete it if its objects are no longer wanted`);
      const manifest = readManifest({ name: file, text }, this.#options.serviceProxyName);
      known.manifest = manifest;
      this.#report(file, undefined, manifest.problems);
      return true;
    } catch (error) {
      const stays = had ? 'its last readable content stays in force' : 'its content is unknown';
      this.#report(file, messageOf(error), [`${messageOf(error)} (${stays})`]);
      return false;
    }
  }

  /** The first state must be complete: objects of an unreadable file must not be deleted from the kernel. */
  #deliver(): void {
    const manifests = [...this.#files.values()].map(({ manifest }) => manifest);
    if (!this.#delivered && manifests.includes(undefined)) return;
    const readable = manifests.filter((manifest) => manifest !== undefined);
    const { services, endpointSlices, nodes, pods, problems } = mergeManifests(readable);
    this.#problems.report(`${this.#options.path} as a whole`, problems);
    this.#delivered = true;
    this.#nodes = nodes;
    for (const name of nodes.keys()) this.#nodesSeen.add(name);
    this.#options.logger.info(
      {
        event: 'manifests-read',
        files: readable.length,
        services: services.size,
        endpointSlices: endpointSlices.size,
        ignored: readable.reduce((sum, { ignored }) => sum + ignored, 0),
      },
      'Manifests read',
    );
    this.#store?.replaceAll({
      services,
      endpointSlices,
      pods,
      node: nodes.get(this.#options.nodeName),
    });
  }

  #report(object: string, error: string | undefined, problems: readonly string[] = []): void {
    if (error === undefined) this.#errors.delete(object);
    else {
      this.#failures += 1;
      this.#errors.set(object, error);
    }
    this.#problems.report(object, error === undefined || problems.length > 0 ? problems : [error]);
  }
}

/**
 * A source that reads manifests and follows their changes. A broken file is reported, and its last readable content stays in
 * force. Nothing is delivered until every file could be read once.
 */
export const manifestSource = (options: ManifestSourceOptions): Source => new ManifestSource(options);
