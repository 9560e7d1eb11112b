import type { IncomingHttpHeaders } from 'node:http';
import { parseIp } from '../../base/ip.js';

/** `localhost:10249`, `[::1]:10249` → the host without brackets and port. */
const hostNameOf = (host: string): string =>
  host
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();

/** A site that rebinds its own DNS name to this machine sends that name; it cannot send an address or `localhost`. */
const isTrustedHost = (host: string | undefined): boolean => {
  if (host === undefined) return false;
  const name = hostNameOf(host);
  return name === 'localhost' || parseIp(name) !== undefined;
};

/** Browsers send it; `none`: the user typed the address. Another port of the same host is `same-site`. */
const isOwnRequest = (site: string | undefined): boolean =>
  site === undefined || site === 'same-origin' || site === 'none';

/** A link to the page may come from any site: the site sees nothing of it. */
const isNavigation = (headers: IncomingHttpHeaders): boolean =>
  headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';

export interface GuardedRequest {
  readonly method?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

/** Why a request for the page or its data is refused, with the status; undefined if it is not. */
export const refusalOf = ({
  method,
  headers,
}: GuardedRequest): { readonly status: number; readonly error: string } | undefined => {
  if (method !== 'GET' && method !== 'HEAD')
    return { status: 405, error: 'the page is read-only: use GET or HEAD' };
  const { host, origin } = headers;
  if (!isTrustedHost(host))
    return {
      status: 421,
      error: `the page is not served as ${JSON.stringify(host ?? '')}: use localhost or an IP address`,
    };
  if (origin !== undefined && origin !== `http://${host}`)
    return { status: 403, error: 'the page is not served to other origins' };
  const site = headers['sec-fetch-site'];
  return isOwnRequest(typeof site === 'string' ? site : undefined) || isNavigation(headers)
    ? undefined
    : { status: 403, error: 'the page is not served to other sites' };
};
