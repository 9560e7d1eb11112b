import { request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { BaseError, codeOf, messageOf } from '../base/errors.js';
import { adminSocketPath, adminSocketVariable, defaultAdminSocket } from '../config/admin-socket.js';
import {
  adminVersion,
  type LookupAnswer,
  type PlanAnswer,
  type ResyncAnswer,
  type ServiceStoryAnswer,
  type StatusAnswer,
  type TargetsAnswer,
  type VirtualServersAnswer,
} from '../plan/admin-answers.js';
import type { WantedAnswer } from '../plan/wanted-answer.js';
import { containerSocket } from './container-socket.js';

/** Nobody answers for the daemon; the message says why and what to do. */
export class NoDaemonError extends BaseError {}

/** The daemon has answered that it cannot tell. */
export class AdminError extends BaseError {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** What there is to tell of a Service, or why there is nothing. */
type Story =
  | { readonly story: ServiceStoryAnswer; readonly missing: undefined }
  | { readonly story: undefined; readonly missing: string };

/** A daemon that is alive answers at once; one that is stopped must not hold a person up. */
const patienceMilliseconds = 5_000;

const longestAnswer = 512 * 1024 * 1024;

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'no kube-ipvs runs here, or without an admin socket',
  ECONNREFUSED: 'the kube-ipvs that served it has ended',
  EACCES: 'only the user that kube-ipvs runs as, and root, may ask it',
  ENOTSOCK: 'it is no socket',
};

const reasonOf = (error: unknown): string => reasons[codeOf(error) ?? ''] ?? messageOf(error);

/** Errors that mean: no daemon serves this path. */
const absences: readonly string[] = ['ENOENT', 'ECONNREFUSED'];

const readText = async (response: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > longestAnswer) throw new BaseError('the answer has no end');
  }
  return Buffer.concat(chunks).toString('utf8');
};

const query = (fields: Readonly<Record<string, string | undefined>>): string => {
  const given = Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
};

const statusNeeds = [
  'source',
  'counts',
  'refused',
  'contested',
  'lostNodes',
  'drift',
  'packetRules',
  'ports',
  'configFiles',
] as const;
const serviceNeeds = [
  'service',
  'node',
  'slices',
  'endpoints',
  'virtualServers',
  'lingering',
  'addresses',
  'elements',
  'problems',
  'events',
  'refused',
] as const;
const wantedNeeds = [
  'virtualServers',
  'dummyAddresses',
  'elements',
  'lingering',
  'drainSeconds',
  'excludeCidrs',
  'packetTables',
  'kernelSettings',
] as const;

/** Asks the daemon of this machine, which is trusted. */
export class AdminClient {
  /** `elsewhere`: another path to ask where no daemon serves this one. */
  constructor(
    private path: string,
    private readonly elsewhere: () => string | undefined = () => undefined,
  ) {}

  status(): Promise<StatusAnswer> {
    return this.#ask('/v1/status', statusNeeds);
  }

  /** Of all Services, or of what is given. */
  virtualServers(
    narrow: { readonly service?: string; readonly address?: string } = {},
  ): Promise<VirtualServersAnswer> {
    return this.#ask(`/v1/virtual-servers${query({ ...narrow })}`, ['virtualServers']);
  }

  /** Where there is no such Service, what is told of it instead: what lingers of it. */
  async service(namespace: string, name: string): Promise<Story> {
    try {
      const path = `/v1/services/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
      return { story: await this.#ask<ServiceStoryAnswer>(path, serviceNeeds), missing: undefined };
    } catch (error) {
      if (error instanceof AdminError && error.status === 404)
        return { story: undefined, missing: error.message };
      throw error;
    }
  }

  lookUp(text: string): Promise<LookupAnswer> {
    return this.#ask(`/v1/lookup${query({ q: text })}`, ['matches']);
  }

  /** What begins so. */
  targets(start: string): Promise<TargetsAnswer> {
    return this.#ask(`/v1/targets${query({ start })}`, ['targets']);
  }

  plan(): Promise<PlanAnswer> {
    return this.#ask('/v1/plan', ['operations']);
  }

  wanted(): Promise<WantedAnswer> {
    return this.#ask('/v1/wanted', wantedNeeds);
  }

  /** Asks for a resync now; resolves before it has ended. */
  resync(): Promise<ResyncAnswer> {
    return this.#ask('/v1/resync', [], 'POST');
  }

  /** `needs`: what this program cannot do without, be it that an older daemon does not tell it. */
  async #ask<Answer extends { readonly version: number }>(
    path: string,
    needs: readonly (keyof Answer & string)[],
    method = 'GET',
  ): Promise<Answer> {
    const response = await this.#respond(path, method);
    const answer = await this.#read(response);
    const { statusCode = 0 } = response;
    const isUnknown = statusCode === 405 || (statusCode === 404 && !path.startsWith('/v1/services/'));
    if (isUnknown) throw this.#another(`does not answer ${method} ${path.replace(/\?.*/, '')}`);
    const { error, version } = answer;
    if (statusCode !== 200) throw new AdminError(statusCode, typeof error === 'string' ? error : 'an error');
    if (version !== adminVersion)
      throw this.#another(
        `answers in version ${JSON.stringify(version)}, and this one reads version ${adminVersion}`,
      );
    const missing = needs.find((name) => answer[name] === undefined);
    if (missing !== undefined) throw this.#another(`does not tell ${missing}`);
    return answer as unknown as Answer;
  }

  #another(what: string): NoDaemonError {
    return new NoDaemonError(
      `the kube-ipvs at ${this.path} is another than this one: it ${what}; use the program of the daemon's own version`,
    );
  }

  async #read(response: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
    let text: string;
    try {
      text = await readText(response);
    } catch (error) {
      throw new NoDaemonError(
        `the kube-ipvs at ${this.path} broke off its answer: ${reasonOf(error)}; try again`,
      );
    }
    try {
      const answer: unknown = JSON.parse(text);
      if (typeof answer === 'object' && answer !== null) return answer as Readonly<Record<string, unknown>>;
    } catch {
      if (response.statusCode === 500)
        throw new AdminError(500, `the kube-ipvs at ${this.path} could not answer; its log says why`);
    }
    throw new NoDaemonError(`what answers at ${this.path} is no kube-ipvs (--admin-socket says where else)`);
  }

  async #request(path: string, method: string): Promise<IncomingMessage> {
    const asking = request({
      socketPath: this.path,
      path,
      method,
      timeout: patienceMilliseconds,
      agent: false,
    });
    asking.on('timeout', () => asking.destroy(new BaseError('it does not answer')));
    asking.end();
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    return response;
  }

  async #respond(path: string, method: string): Promise<IncomingMessage> {
    try {
      return await this.#request(path, method);
    } catch (error) {
      const other = absences.includes(codeOf(error) ?? '') ? this.elsewhere() : undefined;
      if (other !== undefined && other !== this.path) {
        this.path = other;
        return this.#respond(path, method);
      }
      throw new NoDaemonError(
        `nobody answers at ${this.path}: ${reasonOf(error)} (--admin-socket or $${adminSocketVariable} says where else)`,
      );
    }
  }
}

/** A client for the daemon of this machine; undefined where the socket is turned off. */
export const adminClient = (asked: string | undefined): AdminClient | undefined => {
  const path = adminSocketPath(asked, process.env);
  if (path === '') return undefined;
  return path === defaultAdminSocket ? new AdminClient(path, containerSocket) : new AdminClient(path);
};

/** What the daemon says, or why it says nothing: then the caller does without. */
export type Told<Answer> =
  | { readonly answer: Answer; readonly why: undefined }
  | { readonly answer: undefined; readonly why: string };

/** Asks where a daemon answers. An error that is not for want of a daemon is the caller's. */
export const askDaemon = async <Answer>(
  asked: string | undefined,
  question: (client: AdminClient) => Promise<Answer>,
): Promise<Told<Answer>> => {
  const client = adminClient(asked);
  if (client === undefined) return { answer: undefined, why: 'the admin socket is turned off' };
  try {
    return { answer: await question(client), why: undefined };
  } catch (error) {
    if (error instanceof NoDaemonError) return { answer: undefined, why: error.message };
    throw error;
  }
};
