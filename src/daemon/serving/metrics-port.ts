import { performance } from 'node:perf_hooks';
import { version } from '../../base/version.js';
import { gateEnabled } from '../../config/feature-gates.js';
import { kubeProxyDocument } from '../../config/print.js';
import { resolveSettings, type Settings } from '../../config/settings.js';
import { jsonAnswer, notFound, pathOf, textAnswer, type Handler } from './answer.js';
import { flagzPage, slisText, statuszPage } from './debugging-pages.js';
import { logLevelAnswer } from './log-level.js';
import { debuggingAnswer } from './negotiate.js';
import { profilingPages } from './profiling.js';

/** What `/metrics` gives. */
export interface MetricsPage {
  page(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface MetricsPortParts {
  readonly metrics: MetricsPage;
  /** As they are now. */
  readonly settings: () => Settings;
  readonly setVerbosity: (verbosity: number) => void;
}

type Pages = Readonly<Record<string, Handler>>;

const startedAt = performance.timeOrigin;

/** The flags' own defaults, which a config file has no part in. */
const flagDefaults = (): object =>
  kubeProxyDocument(resolveSettings({ flags: new Map(), files: [], hostname: 'node' }));

/** `/healthz` tells that somebody answers here, and nothing of the proxy: that is what the health server is for. */
const pingPages = (): Pages => {
  let asked = 0;
  return {
    '/healthz': ({ url }) => {
      asked += 1;
      return textAnswer(url?.includes('?verbose') === true ? '[+]ping ok\nhealthz check passed\n' : 'ok');
    },
    '/healthz/ping': () => textAnswer('ok'),
    '/metrics/slis': ({ method }) => {
      if (method !== 'DELETE') {
        const answer = textAnswer(slisText(asked, startedAt));
        return {
          ...answer,
          headers: { ...answer.headers, 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' },
        };
      }
      asked = 0;
      return textAnswer('metrics reset\n');
    },
  };
};

const proxyPages = ({ metrics, settings }: MetricsPortParts): Pages => ({
  '/metrics': async () => {
    const { contentType, text } = await metrics.page();
    return { status: 200, headers: { 'Content-Type': contentType }, body: text };
  },
  '/proxyMode': () => textAnswer('ipvs'),
  '/configz': () => jsonAnswer(JSON.stringify({ 'kubeproxy.config.k8s.io': kubeProxyDocument(settings()) })),
});

const verbosityPages = ({ setVerbosity }: MetricsPortParts): Pages => ({
  '/debug/flags': () => textAnswer('PUT a number to /debug/flags/v to set the verbosity of the log\n'),
  '/debug/flags/v': (request) => logLevelAnswer(request, setVerbosity),
});

const isGateOn = ({ configuration }: Settings, gate: string): boolean =>
  gateEnabled(configuration.featureGates, gate);

/** The pages that tell of the others. */
const zPages = ({ settings }: MetricsPortParts, paths: () => readonly string[]): Pages => {
  const flagDefaultsOnce = flagDefaults();
  return {
    '/flagz': ({ headers }) =>
      isGateOn(settings(), 'ComponentFlagz')
        ? debuggingAnswer(flagzPage(settings().flags, flagDefaultsOnce), headers.accept)
        : notFound,
    '/statusz': ({ headers }) =>
      isGateOn(settings(), 'ComponentStatusz')
        ? debuggingAnswer(
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

/** All that is served on metricsBindAddress (kube-proxy-ipvs §7.4). */
export const metricsPortHandler = (parts: MetricsPortParts): Handler => {
  const debugging: Pages = { ...profilingPages, ...verbosityPages(parts) };
  const paths = (): readonly string[] =>
    [...Object.keys(always), ...(isProfiled() ? Object.keys(debugging) : [])].toSorted();
  const always: Pages = { ...pingPages(), ...proxyPages(parts), ...zPages(parts, paths) };
  const isProfiled = (): boolean => parts.settings().configuration.enableProfiling;
  return (request) => {
    const path = pathOf(request);
    const page = always[path] ?? (isProfiled() ? debugging[path] : undefined);
    return page === undefined ? notFound : page(request);
  };
};
