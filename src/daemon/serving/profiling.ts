import type { IncomingMessage } from 'node:http';
import { Session } from 'node:inspector/promises';
import { setTimeout } from 'node:timers/promises';
import { getHeapSnapshot } from 'node:v8';
import { textResponse, type HttpResponse, type Handler } from './http-response.js';

const defaultProfileSeconds = 30;
const maximumProfileSeconds = 300;

const index = `Profiles of this process, for the developer tools of Chromium (or npx speedscope):

/debug/pprof/profile?seconds=${defaultProfileSeconds}  what the CPU does, as a .cpuprofile
/debug/pprof/heap                what the memory holds, as a .heapsnapshot; nothing else happens meanwhile
/debug/pprof/cmdline             the command line
`;

const download = (type: string, fileName: string, body: HttpResponse['body']): HttpResponse => ({
  status: 200,
  headers: {
    'Content-Type': type,
    'X-Content-Type-Options': 'nosniff',
    'Content-Disposition': `attachment; filename="${fileName}"`,
  },
  body,
});

const secondsOf = ({ url = '' }: IncomingMessage): number | undefined => {
  const text = new URLSearchParams(url.split('?')[1] ?? '').get('seconds');
  if (text === null) return defaultProfileSeconds;
  const seconds = Number(text);
  return text !== '' && seconds > 0 && seconds <= maximumProfileSeconds ? seconds : undefined;
};

let profiling = false;

const takeProfile = async (seconds: number): Promise<HttpResponse> => {
  const session = new Session();
  session.connect();
  profiling = true;
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.start');
    // The profile must not delay the end of the daemon.
    await setTimeout(seconds * 1000, undefined, { ref: false });
    const { profile } = await session.post('Profiler.stop');
    return download('application/json', 'kube-ipvs.cpuprofile', JSON.stringify(profile));
  } finally {
    profiling = false;
    session.disconnect();
  }
};

const cpuProfile: Handler = (request) => {
  const seconds = secondsOf(request);
  if (seconds === undefined)
    return textResponse(
      `seconds must be a number of more than 0 and at most ${maximumProfileSeconds}\n`,
      400,
    );
  return profiling ? textResponse('a profile is being taken already\n', 503) : takeProfile(seconds);
};

/** The pages under `/debug/pprof`, by path. A client that reaches them can read the memory of this process. */
export const profilingPages: Readonly<Record<string, Handler>> = {
  '/debug/pprof': () => textResponse(index),
  '/debug/pprof/': () => textResponse(index),
  '/debug/pprof/profile': cpuProfile,
  '/debug/pprof/heap': () =>
    download('application/octet-stream', 'kube-ipvs.heapsnapshot', getHeapSnapshot()),
  '/debug/pprof/cmdline': () => textResponse(process.argv.join('\0')),
};
