import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { statusObject } from './api-responses.js';

/** A command that a client runs in a pod. */
export interface ExecRequest {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
  /** Aborts when the client has left. */
  readonly signal: AbortSignal;
  /** Writes to standard output before the command ends. */
  readonly write: (text: string) => void;
}

/** How a command ends. */
export type ExecResult =
  | { readonly stdout?: string; readonly stderr?: string; readonly exitCode?: number }
  /** The API server refuses the request. */
  | { readonly refused: { readonly code: number; readonly reason: string; readonly message: string } }
  /** The container runtime cannot run it. */
  | { readonly failure: string }
  /** The connection is cut before the end. */
  | 'cut'
  /** Nothing comes. */
  | 'no-answer';

export type ExecHandler = (request: ExecRequest) => ExecResult | Promise<ExecResult>;

const execPath = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)\/exec$/;

/** The Status with which the kubelet ends a stream. */
const endStatus = (exitCode: number): object =>
  exitCode === 0
    ? { metadata: {}, status: 'Success' }
    : {
        ...statusObject({
          code: 500,
          reason: 'NonZeroExitCode',
          message: `command terminated with non-zero exit code: exit status ${exitCode}`,
          details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
        }),
      };

const refuse = (socket: Duplex, code: number, status: object): void => {
  const body = JSON.stringify(status);
  socket.end(
    `HTTP/1.1 ${code} Refused\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
};

const framed = (channel: number, text: string): Buffer =>
  Buffer.concat([Buffer.from([channel]), Buffer.from(text)]);

/** The kubelet sends output in messages of at most this size. */
const messageLength = 32 * 1024;

const send = (socket: WebSocket, channel: number, text: string): void => {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += messageLength)
    socket.send(Buffer.concat([Buffer.from([channel]), bytes.subarray(at, at + messageLength)]));
};

type Refusal = Extract<ExecResult, { refused: unknown }>;

const isRefusal = (result: unknown): result is Refusal =>
  typeof result === 'object' && result !== null && 'refused' in result;

const finish = (socket: WebSocket, result: ExecResult): void => {
  if (result === 'no-answer' || isRefusal(result)) return;
  if (result === 'cut') return socket.terminate();
  if ('failure' in result)
    socket.send(
      framed(
        3,
        JSON.stringify(statusObject({ code: 500, reason: 'InternalError', message: result.failure })),
      ),
    );
  else {
    send(socket, 1, result.stdout ?? '');
    send(socket, 2, result.stderr ?? '');
    socket.send(framed(3, JSON.stringify(endStatus(result.exitCode ?? 0))));
  }
  socket.close(1000);
};

/** Serves `pods/exec` over WebSockets, as kube-apiserver does with the subprotocols v4 and v5. */
export const serveExec = (handler: ExecHandler, admits: (request: IncomingMessage) => boolean) => {
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => (offered.has('v5.channel.k8s.io') ? 'v5.channel.k8s.io' : false),
  });
  const serve = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://server');
    const [, namespace, pod] = execPath.exec(url.pathname) ?? [];
    socket.on('error', () => {});
    if (!admits(request))
      return refuse(
        socket,
        401,
        statusObject({ code: 401, reason: 'Unauthorized', message: 'Unauthorized' }),
      );
    if (namespace === undefined || pod === undefined) return refuse(socket, 404, {});
    const left = new AbortController();
    socket.once('close', () => left.abort());
    const early: string[] = [];
    let opened: WebSocket | undefined;
    const write = (text: string): void => {
      if (opened === undefined) early.push(text);
      else send(opened, 1, text);
    };
    const result = handler({
      namespace,
      pod,
      container: url.searchParams.get('container') ?? '',
      command: url.searchParams.getAll('command'),
      signal: left.signal,
      write,
    });
    const soon = await Promise.race([result, new Promise((resolve) => setImmediate(resolve))]);
    if (isRefusal(soon)) return refuse(socket, soon.refused.code, statusObject(soon.refused));
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      opened = webSocket;
      webSocket.on('error', () => {});
      for (const text of early) send(webSocket, 1, text);
      void Promise.resolve(result).then(
        (end) => webSocket.readyState === webSocket.OPEN && finish(webSocket, end),
      );
    });
    await once(socket, 'close');
  };
  return (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    serve(request, socket, head).catch((error: unknown) => socket.destroy(error as Error));
  };
};
