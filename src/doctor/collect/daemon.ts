import { get } from 'node:http';
import type { DaemonFacts } from '../facts.js';
import { advise, seeChecks } from '../remedy.js';
import { FactUnavailableError } from './collect-fact.js';

const requestTimeoutMilliseconds = 3_000;

interface Page {
  readonly status: number;
  readonly body: string;
}

/** Fetches a page of this node within 3 seconds. */
export const fetchPage = (url: string): Promise<Page> =>
  new Promise((resolve, reject) => {
    const request = get(
      url,
      { agent: false, signal: AbortSignal.timeout(requestTimeoutMilliseconds) },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      },
    );
    request.on('error', reject);
  });

/** The URL of a page of a server that listens on this address; undefined where it is turned off. */
export const localUrl = (address: string, path: string): string | undefined =>
  address === ''
    ? undefined
    : `http://${address.replace(/^0\.0\.0\.0:/, '127.0.0.1:').replace(/^\[::\]:/, '[::1]:')}${path}`;

const fieldsOf = (body: string): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {}; // the page of another program
  }
};

const booleanOf = (value: unknown): boolean | undefined => (typeof value === 'boolean' ? value : undefined);

/** Status 0: no connection. */
export const daemonFacts = async (healthzBindAddress: string): Promise<DaemonFacts> => {
  const url = localUrl(healthzBindAddress, '/healthz');
  if (url === undefined)
    throw new FactUnavailableError(
      'healthzBindAddress is turned off',
      advise('Set healthzBindAddress: 0.0.0.0:10256 in the configuration.'),
    );
  try {
    const { status, body } = await fetchPage(url);
    const { nodeEligible, healthy } = fieldsOf(body);
    return { status, eligible: booleanOf(nodeEligible), healthy: booleanOf(healthy) };
  } catch {
    return { status: 0, eligible: undefined, healthy: undefined };
  }
};

/** Samples by name, summed over their labels; those with the label `resource` also one by one. */
export const parseMetrics = (page: string): ReadonlyMap<string, number> => {
  const samples = new Map<string, number>();
  for (const [, name = '', labels = '', value = ''] of page.matchAll(
    /^([a-zA-Z_:][\w:]*)(\{[^}]*\})? (\S+)/gm,
  )) {
    samples.set(name, (samples.get(name) ?? 0) + Number(value));
    const [, resource] = /^\{resource="(\w+)"\}$/.exec(labels) ?? [];
    if (resource !== undefined) samples.set(`${name}{resource="${resource}"}`, Number(value));
  }
  return samples;
};

export const metricsFacts = async (metricsBindAddress: string): Promise<ReadonlyMap<string, number>> => {
  const url = localUrl(metricsBindAddress, '/metrics');
  if (url === undefined)
    throw new FactUnavailableError(
      'metricsBindAddress is turned off',
      advise('Set metricsBindAddress: 127.0.0.1:10249 in the configuration.'),
    );
  try {
    return parseMetrics((await fetchPage(url)).body);
  } catch {
    throw new FactUnavailableError(`cannot connect to ${metricsBindAddress}`, seeChecks('daemon'));
  }
};
