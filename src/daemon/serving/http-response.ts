import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { codeOf, messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';

/** The response to a request. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Readable;
}

/** A response with a complete body. */
export interface TextResponse extends HttpResponse {
  readonly body: string;
}

export type Handler = (request: IncomingMessage) => HttpResponse | Promise<HttpResponse>;

/** Browsers must not guess another content type. */
const noSniff = { 'X-Content-Type-Options': 'nosniff' } as const;

export const textResponse = (body: string, status = 200): TextResponse => ({
  status,
  headers: { 'Content-Type': 'text/plain; charset=utf-8', ...noSniff },
  body,
});

export const jsonResponse = (body: string, status = 200): TextResponse => ({
  status,
  headers: { 'Content-Type': 'application/json', ...noSniff },
  body,
});

/** The text of Go's HTTP server. */
export const notFound: HttpResponse = textResponse('404 page not found\n', 404);

/** The path of a request, without its query. */
export const pathOf = ({ url = '/' }: IncomingMessage): string => url.split('?', 1)[0] ?? '/';

const send = async (response: ServerResponse, { status, headers, body }: HttpResponse): Promise<void> => {
  if (typeof body !== 'string') {
    response.writeHead(status, headers);
    return pipeline(body, response);
  }
  response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body) }).end(body);
};

const handleRequest = async (
  handler: Handler,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> => {
  const result = await handler(request);
  // An unread request body would keep the connection from being reused.
  request.resume();
  await send(response, result);
};

/** Health checks are small and frequent: a slow client, or one with thousands of connections, is no health checker. */
const limits = { headersTimeout: 10_000, requestTimeout: 30_000 } as const;
const maximumConnections = 1_024;

/** The client disconnected before the end of the response; that is no failure. */
const isClientDisconnect = (error: unknown): boolean => codeOf(error) === 'ERR_STREAM_PREMATURE_CLOSE';

/** Creates a server that does not listen yet. If the handler throws, it responds with status 500. */
export const serverFor = (handler: Handler, log: Logger): Server => {
  const server = createServer(limits, (request, response) => {
    handleRequest(handler, request, response).catch((error: unknown) => {
      if (isClientDisconnect(error)) return;
      log.warn({ event: 'request-failed', path: request.url, error: messageOf(error) }, 'Request failed');
      if (response.headersSent) response.destroy();
      else response.writeHead(500, textResponse('').headers).end('internal error\n');
    });
  });
  server.maxConnections = maximumConnections;
  // Before the server listens, the caller gets the error. Later an error means that one connection was not accepted.
  server.on('error', (error) => {
    if (server.listening)
      log.warn({ event: 'connection-failed', error: messageOf(error) }, 'Accepting a connection failed');
  });
  return server;
};
