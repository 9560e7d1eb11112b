import type { IncomingMessage } from 'node:http';
import type { ServiceKey } from '../../model/service.js';
import type { PageRealServersResponse } from '../../admin-api/page.js';
import { errorResponse, valueResponse } from '../admin/json-stream.js';
import { pathOf, type Handler, type HttpResponse } from '../serving/http-response.js';
import { readPageFile } from './page-files.js';
import type { PageSampler } from './page-sampler.js';
import { refusalOf } from './request-guard.js';

export interface PageParts {
  readonly sampler: Pick<PageSampler, 'stream'>;
  /** The report of the admin API; undefined if there is no such Service. */
  readonly serviceReport: (service: ServiceKey) => HttpResponse | undefined;
  readonly realServers: (service: ServiceKey) => Promise<PageRealServersResponse['virtualServers']>;
}

/** The page loads nothing from elsewhere, runs no inline script, and is in no frame. */
const securityHeaders = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
} as const;

const fileResponse = (name: string, known: string | undefined): HttpResponse => {
  const file = readPageFile(name);
  if (file === undefined) return errorResponse(404, 'no such file');
  const { contentType, text, tag } = file;
  const headers = { 'Content-Type': contentType, 'Cache-Control': 'no-cache', ETag: tag };
  return known === tag ? { status: 304, headers, body: '' } : { status: 200, headers, body: text };
};

const uncached = (response: HttpResponse): HttpResponse => ({
  ...response,
  headers: { ...response.headers, 'Cache-Control': 'no-store' },
});

const streamResponse = ({ sampler }: PageParts): HttpResponse => {
  const body = sampler.stream();
  return body === undefined
    ? errorResponse(503, 'too many pages are open')
    : { status: 200, headers: { 'Content-Type': 'text/event-stream' }, body };
};

const serviceOf = (request: IncomingMessage): ServiceKey =>
  (new URLSearchParams(request.url?.split('?')[1]).get('service') ?? '') as ServiceKey;

type Page = (request: IncomingMessage, parts: PageParts) => HttpResponse | Promise<HttpResponse>;

const pages: Readonly<Record<string, Page>> = {
  '/web/stream': (_, parts) => uncached(streamResponse(parts)),
  '/web/service': (request, parts) =>
    uncached(parts.serviceReport(serviceOf(request)) ?? errorResponse(404, 'there is no such Service')),
  '/web/real-servers': async (request, parts) =>
    uncached(
      valueResponse({
        version: 1,
        virtualServers: await parts.realServers(serviceOf(request)),
      } satisfies PageRealServersResponse),
    ),
};

const fileNameOf = (path: string): string =>
  path === '/' ? 'index.html' : path.slice('/web/'.length).replace('index.html', '');

const responseTo = async (request: IncomingMessage, parts: PageParts): Promise<HttpResponse> => {
  const refusal = refusalOf(request);
  if (refusal !== undefined) return errorResponse(refusal.status, refusal.error);
  const path = pathOf(request);
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
  // HEAD must not start the sampler.
  if (request.method === 'HEAD' && page !== undefined) return errorResponse(405, 'use GET');
  return page === undefined
    ? fileResponse(fileNameOf(path), request.headers['if-none-match'])
    : page(request, parts);
};

/** Whether the page answers requests for the path. */
export const isPagePath = (path: string): boolean => path === '/' || path.startsWith('/web/');

/** Serves the page and its data. Read-only. */
export const pageHandler =
  (parts: PageParts): Handler =>
  async (request) => {
    const { status, headers, body } = await responseTo(request, parts);
    return { status, headers: { ...headers, ...securityHeaders }, body };
  };
