import { Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { text } from 'node:stream/consumers';
import { createSecureContext } from 'node:tls';
import { WebSocket } from 'ws';
import { BaseError } from '../../base/errors.js';
import { readStatus } from '../objects/schemas.js';
import { ApiError, type CredentialSource, type Headers, type TlsMaterial } from './api-client.js';

/** A command in a container of a pod. */
export interface PodCommand {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
}

export interface PodCommandOptions {
  readonly signal: AbortSignal;
  /** Gets standard output as it arrives; without it, it is collected. */
  readonly onOutput?: (chunk: Buffer) => void;
}

export interface PodCommandResult {
  /** '' with `onOutput`. */
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** Both are the same to a client that sends nothing: v5 (Kubernetes 1.30) can also close standard input. */
const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];

/** The first byte of each message. */
const channels = { stdout: 1, stderr: 2, status: 3 } as const;

const largestOutputBytes = 512 * 1024 * 1024;

const execUrl = (server: URL, { namespace, pod, container, command }: PodCommand): URL => {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/exec`;
  const url = new URL(`${server.pathname.replace(/\/$/, '')}${path}`, server);
  for (const word of command) url.searchParams.append('command', word);
  url.searchParams.set('container', container);
  url.searchParams.set('stdout', 'true');
  url.searchParams.set('stderr', 'true');
  return url;
};

/** The exit status in the Status that ends the stream (`NonZeroExitCode` of k8s.io/client-go/util/exec). Throws for any other failure. */
const exitCodeOf = (json: string): number => {
  const value: unknown = JSON.parse(json);
  const status = readStatus(value);
  if ((value as { readonly status?: unknown }).status === 'Success') return 0;
  const code = status.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message;
  if (code && /^\d+$/.test(code)) return Number(code);
  throw new BaseError(status.message ?? 'the container runtime could not run the command');
};

/** The API server answered the request for a WebSocket with an error. */
const refusal = async (response: IncomingMessage): Promise<ApiError> => {
  const body = await text(response).catch(() => '');
  try {
    return new ApiError(response.statusCode ?? 0, readStatus(JSON.parse(body)));
  } catch {
    return new ApiError(response.statusCode ?? 0, {});
  }
};

/** Collects what a command wrote, by channel. */
class CommandOutput {
  readonly #stdout: Buffer[] = [];
  readonly #stderr: Buffer[] = [];
  #bytes = 0;
  #status: string | undefined;

  constructor(private readonly onOutput: PodCommandOptions['onOutput']) {}

  add(message: Buffer): void {
    const channel = message[0];
    const content = message.subarray(1);
    if (channel === channels.status) this.#status = content.toString('utf8');
    if (channel === channels.stdout && this.onOutput !== undefined) return this.onOutput(content);
    this.#bytes += content.length;
    if (this.#bytes > largestOutputBytes)
      throw new BaseError(`the output is longer than ${largestOutputBytes / 1024 / 1024} MiB`);
    if (channel === channels.stdout) this.#stdout.push(content);
    if (channel === channels.stderr) this.#stderr.push(content);
  }

  result(): PodCommandResult {
    if (this.#status === undefined)
      throw new BaseError('the connection was closed before the command had ended');
    return {
      stdout: Buffer.concat(this.#stdout).toString('utf8'),
      stderr: Buffer.concat(this.#stderr).toString('utf8'),
      exitCode: exitCodeOf(this.#status),
    };
  }
}

const openSocket = (url: URL, headers: Headers, agent: HttpAgent): WebSocket =>
  new WebSocket(url, protocols, {
    agent,
    headers: { ...headers },
    perMessageDeflate: false,
    // Texts come in binary messages; the API server sends no others.
    skipUTF8Validation: true,
  });

const run = (socket: WebSocket, { signal, onOutput }: PodCommandOptions): Promise<PodCommandResult> =>
  new Promise((resolve, reject) => {
    const output = new CommandOutput(onOutput);
    const fail = (error: unknown): void => {
      reject(error);
      socket.terminate();
    };
    const abort = (): void => fail(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    socket.on('unexpected-response', (_, response) => void refusal(response).then(fail));
    socket.on('error', fail);
    socket.on('message', (data: Buffer) => {
      try {
        output.add(data);
      } catch (error) {
        fail(error);
      }
    });
    socket.on('close', () => {
      signal.removeEventListener('abort', abort);
      try {
        resolve(output.result());
      } catch (error) {
        reject(error);
      }
    });
    if (signal.aborted) abort();
  });

/** Runs commands in pods over WebSockets, as `kubectl exec` does (KEP-4006). */
export class PodExec {
  #agent: HttpAgent | undefined;
  #tls: TlsMaterial | undefined;

  constructor(private readonly credentials: CredentialSource) {}

  /**
   * Runs a command to its end. Rejected credentials are refreshed once. Throws ApiError where the API server refuses the command, the
   * abort reason, or why it could not run; a command that ends with another status than 0 is a result.
   */
  async run(command: PodCommand, options: PodCommandOptions): Promise<PodCommandResult> {
    try {
      return await this.#attempt(command, options);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      await this.credentials.refresh();
      return this.#attempt(command, options);
    }
  }

  async #attempt(command: PodCommand, options: PodCommandOptions): Promise<PodCommandResult> {
    const { server } = this.credentials;
    const { headers, tls, agent = this.#agentFor(tls) } = await this.credentials.current();
    return run(openSocket(execUrl(server, command), headers, agent), options);
  }

  /** Each command has a connection of its own. All share one TLS context and resume sessions, without which most time is spent on TLS. */
  #agentFor(tls: TlsMaterial): HttpAgent {
    if (this.#agent !== undefined && this.#tls === tls) return this.#agent;
    this.#tls = tls;
    this.#agent =
      this.credentials.server.protocol === 'http:'
        ? new HttpAgent()
        : new HttpsAgent({
            ...tls,
            secureContext: createSecureContext({ ca: tls.ca, cert: tls.cert, key: tls.key }),
          });
    return this.#agent;
  }
}
