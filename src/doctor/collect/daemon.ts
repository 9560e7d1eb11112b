import { get } from 'node:http';
import type { DaemonFacts } from '../facts.js';
import { FactUnavailableError } from './collect-fact.js';

const requestTimeoutMilliseconds = 3_000;

interface Page {
  readonly status: number;
  readonly body: string;
}

const fetchPage = (url: string): Promise<Page> =>
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

/** Where to ask a server that listens at this address; undefined: it is turned off. */
export const localUrl = (address: string, path: string): string | undefined =>
  address === ''
    ? undefined
    : `http://${address.replace(/^0\.0\.0\.0:/, '127.0.0.1:').replace(/^\[::\]:/, '[::1]:')}${path}`;

const booleanIn = (body: string, field: string): boolean | undefined => {
  const [, value] = new RegExp(`"${field}":\\s*(true|false)`).exec(body) ?? [];
  return value === undefined ? undefined : value === 'true';
};

/** Status 0: nobody answers. */
export const daemonFacts = async (healthzBindAddress: string): Promise<DaemonFacts> => {
  const url = localUrl(healthzBindAddress, '/healthz');
  if (url === undefined)
    throw new FactUnavailableError(
      'healthzBindAddress is turned off',
      'healthzBindAddress: 0.0.0.0:10256 in the configuration',
    );
  try {
    const { status, body } = await fetchPage(url);
    return { status, eligible: booleanIn(body, 'nodeEligible'), healthy: booleanIn(body, 'healthy') };
  } catch {
    return { status: 0, eligible: undefined, healthy: undefined };
  }
};

/** Samples by name, summed over their labels; where a resource is named, also one by one. */
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
      'metricsBindAddress: 127.0.0.1:10249 in the configuration',
    );
  try {
    return parseMetrics((await fetchPage(url)).body);
  } catch {
    throw new FactUnavailableError(`nobody answers at ${metricsBindAddress}`, 'see the check daemon');
  }
};
