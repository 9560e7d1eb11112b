import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { codeOf, messageOf } from '../../base/errors.js';
import type { Logger } from '../../base/log.js';

/** What is answered to a request. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Readable;
}

/** One that is there as a whole. */
export interface TextResponse extends HttpResponse {
  readonly body: string;
}

export type Handler = (request: IncomingMessage) => HttpResponse | Promise<HttpResponse>;

/** Browsers are not to take an answer for anything but what it says it is. */
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

/** In the words of Go's HTTP server. */
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
  // What nobody reads of a request would keep the connection from being used again.
  request.resume();
  await send(response, result);
};

/** Health checks are small and frequent: who dawdles over one, or comes with thousands at once, is no health checker. */
const limits = { headersTimeout: 10_000, requestTimeout: 30_000 } as const;
const maximumConnections = 1_024;

/** Who asked has gone before the end of the answer: nobody's trouble. */
const isClientDisconnect = (error: unknown): boolean => codeOf(error) === 'ERR_STREAM_PREMATURE_CLOSE';

/** A server that listens nowhere yet. A handler that throws is answered by 500. */
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
  // Who opens it is told why it can't be. Later on, a connection that could not be taken (no memory) is one that failed.
  server.on('error', (error) => {
    if (server.listening)
      log.warn({ event: 'connection-failed', error: messageOf(error) }, 'Accepting a connection failed');
  });
  return server;
};
