import { request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { BaseError, messageOf } from '../base/errors.js';
import { adminSocketPath, adminSocketVariable } from '../config/admin-socket.js';
import {
  adminVersion,
  type ErrorAnswer,
  type LookupAnswer,
  type PlanAnswer,
  type ResyncAnswer,
  type ServiceStoryAnswer,
  type StatusAnswer,
  type TargetsAnswer,
  type VirtualServersAnswer,
} from '../plan/admin-answers.js';
import type { WantedAnswer } from '../plan/wanted-answer.js';

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

/** A daemon that is alive answers at once; one that is stopped must not hold a person up. */
const patienceMilliseconds = 5_000;

const longestAnswer = 512 * 1024 * 1024;

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'no kube-ipvs runs here, or without an admin socket',
  ECONNREFUSED: 'the kube-ipvs that served it has ended',
  EACCES: 'only the user that kube-ipvs runs as, and root, may ask it',
  ENOTSOCK: 'it is no socket',
};

const reasonOf = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return reasons[code] ?? messageOf(error);
};

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

/** Asks the daemon of this machine, which is trusted. */
export class AdminClient {
  constructor(private readonly path: string) {}

  status(): Promise<StatusAnswer> {
    return this.#ask('/v1/status');
  }

  /** Of all Services, or of what is given. */
  virtualServers(
    narrow: { readonly service?: string; readonly address?: string } = {},
  ): Promise<VirtualServersAnswer> {
    return this.#ask(`/v1/virtual-servers${query({ ...narrow })}`);
  }

  /** Undefined where there is no such Service. */
  async service(namespace: string, name: string): Promise<ServiceStoryAnswer | undefined> {
    try {
      return await this.#ask(`/v1/services/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`);
    } catch (error) {
      if (error instanceof AdminError && error.status === 404) return undefined;
      throw error;
    }
  }

  lookUp(text: string): Promise<LookupAnswer> {
    return this.#ask(`/v1/lookup${query({ q: text })}`);
  }

  /** What begins so. */
  targets(start: string): Promise<TargetsAnswer> {
    return this.#ask(`/v1/targets${query({ start })}`);
  }

  plan(): Promise<PlanAnswer> {
    return this.#ask('/v1/plan');
  }

  wanted(): Promise<WantedAnswer> {
    return this.#ask('/v1/wanted');
  }

  /** Asks for a resync now; resolves before it has ended. */
  resync(): Promise<ResyncAnswer> {
    return this.#ask('/v1/resync', 'POST');
  }

  async #ask<Answer extends { readonly version: number }>(path: string, method = 'GET'): Promise<Answer> {
    const response = await this.#respond(path, method);
    const answer = JSON.parse(await readText(response)) as Answer | ErrorAnswer;
    if (response.statusCode !== 200)
      throw new AdminError(response.statusCode ?? 0, 'error' in answer ? answer.error : 'an error');
    if (answer.version !== adminVersion)
      throw new NoDaemonError(
        `the kube-ipvs at ${this.path} answers in version ${answer.version}, and this one reads version ${adminVersion}; use the program of the daemon's own version`,
      );
    return answer as Answer;
  }

  async #respond(path: string, method: string): Promise<IncomingMessage> {
    try {
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
    } catch (error) {
      throw new NoDaemonError(
        `nobody answers at ${this.path}: ${reasonOf(error)} (--admin-socket or $${adminSocketVariable} says where else)`,
      );
    }
  }
}

/** A client for the daemon of this machine; undefined where the socket is turned off. */
export const adminClient = (asked: string | undefined): AdminClient | undefined => {
  const path = adminSocketPath(asked, process.env);
  return path === '' ? undefined : new AdminClient(path);
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
