import { performance } from 'node:perf_hooks';
import { Readable } from 'node:stream';
import { version } from '../../base/version.js';
import { gateEnabled } from '../../config/feature-gates.js';
import { kubeProxyDocument } from '../../config/configuration-document.js';
import { resolveSettings, type Settings } from '../../config/settings.js';
import { jsonResponse, notFound, pathOf, textResponse, type Handler } from './http-response.js';
import { isPagePath } from '../page/page-handler.js';
import { flagzPage, slisText, statuszPage } from './debugging-pages.js';
import { logLevelResponse } from './log-level.js';
import { debuggingResponse } from './negotiate-format.js';
import { profilingPages } from './profiling.js';

/** Renders `/metrics`. */
export interface MetricsPage {
  page(): Promise<{ readonly contentType: string; readonly chunks: AsyncIterable<string> }>;
}

export interface MetricsPortParts {
  readonly metrics: MetricsPage;
  /** The current settings. */
  readonly settings: () => Settings;
  readonly setVerbosity: (verbosity: number) => void;
  /** Serves the page, unless the settings turn it off. */
  readonly page: Handler;
}

type Pages = Readonly<Record<string, Handler>>;

const startedAt = performance.timeOrigin;

/** The defaults of the flags, without a configuration file. */
const flagDefaults = (): object =>
  kubeProxyDocument(resolveSettings({ flags: new Map(), files: [], hostname: 'node' }));

/** `/healthz` reports that the server responds, not the health of the proxy: the health server does that. */
const pingPages = (): Pages => {
  let requestCount = 0;
  return {
    '/healthz': ({ url }) => {
      requestCount += 1;
      return textResponse(url?.includes('?verbose') === true ? '[+]ping ok\nhealthz check passed\n' : 'ok');
    },
    '/healthz/ping': () => textResponse('ok'),
    '/metrics/slis': ({ method }) => {
      if (method !== 'DELETE') {
        const response = textResponse(slisText(requestCount, startedAt));
        return {
          ...response,
          headers: { ...response.headers, 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' },
        };
      }
      requestCount = 0;
      return textResponse('metrics reset\n');
    },
  };
};

const proxyPages = ({ metrics, settings }: MetricsPortParts): Pages => ({
  '/metrics': async () => {
    const { contentType, chunks } = await metrics.page();
    return { status: 200, headers: { 'Content-Type': contentType }, body: Readable.from(chunks) };
  },
  '/proxyMode': () => textResponse('ipvs'),
  '/configz': () =>
    jsonResponse(JSON.stringify({ 'kubeproxy.config.k8s.io': kubeProxyDocument(settings()) })),
});

const verbosityPages = ({ setVerbosity }: MetricsPortParts): Pages => ({
  '/debug/flags': () => textResponse('PUT a number to /debug/flags/v to set the verbosity of the log\n'),
  '/debug/flags/v': (request) => logLevelResponse(request, setVerbosity),
});

const isGateOn = ({ configuration }: Settings, gate: string): boolean =>
  gateEnabled(configuration.featureGates, gate);

/** The pages about the program itself. */
const debuggingPages = ({ settings }: MetricsPortParts, paths: () => readonly string[]): Pages => {
  const flagDefaultsOnce = flagDefaults();
  return {
    '/flagz': ({ headers }) =>
      isGateOn(settings(), 'ComponentFlagz')
        ? debuggingResponse(flagzPage(settings().flags, flagDefaultsOnce), headers.accept)
        : notFound,
    '/statusz': ({ headers }) =>
      isGateOn(settings(), 'ComponentStatusz')
        ? debuggingResponse(
            statuszPage({
              startedAt,
              now: Date.now(),
              runtime: `node ${process.version}`,
              version,
              paths: paths(),
            }),
            headers.accept,
          )
        : notFound,
  };
};

/** Serves metricsBindAddress (kube-proxy-ipvs §7.4). */
export const metricsPortHandler = (parts: MetricsPortParts): Handler => {
  const debugging: Pages = { ...profilingPages, ...verbosityPages(parts) };
  const paths = (): readonly string[] =>
    [...Object.keys(always), ...(isProfilingEnabled() ? Object.keys(debugging) : [])].toSorted();
  const always: Pages = { ...pingPages(), ...proxyPages(parts), ...debuggingPages(parts, paths) };
  const isProfilingEnabled = (): boolean => parts.settings().configuration.enableProfiling;
  return (request) => {
    const path = pathOf(request);
    if (parts.settings().pageEnabled && isPagePath(path)) return parts.page(request);
    const page = always[path] ?? (isProfilingEnabled() ? debugging[path] : undefined);
    return page === undefined ? notFound : page(request);
  };
};
