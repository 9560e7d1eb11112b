import type { LogRecord, LogResponse } from '../../admin-api/log-response.js';
import { sleep } from '../../base/async.js';
import { InputError, messageOf } from '../../base/errors.js';
import { UsageError } from '../../config/parse-flags.js';
import {
  adminClient,
  adminSocketDisabled,
  DaemonUnavailableError,
  type AdminClient,
} from '../admin/admin-client.js';
import type { InstanceOptions } from '../admin/instance.js';
import { abortOnSignal } from '../framework/abort-on-signal.js';
import { exitStatus } from '../framework/command.js';
import { paletteFor, type ColorMode } from '../output/palette.js';
import { printDiagnostic, writeText, writeTexts } from '../output/standard-output.js';
import { parseTarget } from '../target/target.js';
import { logLines } from './log-text.js';
import { momentText, parseMoment } from './log-time.js';

export interface LogOptions extends InstanceOptions {
  readonly service: string | undefined;
  readonly namespace: string | undefined;
  readonly since: string | undefined;
  readonly until: string | undefined;
  readonly follow: boolean;
  readonly output: 'table' | 'json' | 'yaml';
  readonly noHeaders: boolean;
  readonly color: ColorMode;
}

/** What to show, checked. */
interface Selection {
  /** `namespace/name`. */
  readonly service: string | undefined;
  /** Milliseconds since 1970. */
  readonly since: number | undefined;
  readonly until: number;
}

const serviceOf = (text: string, namespace: string | undefined): string => {
  const target = parseTarget(text, namespace);
  if (target.by === 'address' || target.by === 'pod' || target.port !== undefined)
    throw new InputError(
      `--service: ${JSON.stringify(text)} is not the name of a Service (expected, for example, shop/web). ` +
        `Find the Service of an address or a pod with: kube-ipvs explain ${text}`,
    );
  return `${target.namespace}/${target.name}`;
};

const selectionOf = ({ service, namespace, since, until, follow }: LogOptions, now: number): Selection => {
  if (follow && until !== undefined) throw new UsageError('--until and --follow cannot be combined');
  if (namespace !== undefined && service === undefined)
    throw new UsageError('--namespace requires --service');
  return {
    service: service === undefined ? undefined : serviceOf(service, namespace),
    since: since === undefined ? undefined : parseMoment('--since', since, now),
    until: until === undefined ? Infinity : parseMoment('--until', until, now),
  };
};

const queryOf = ({ service, since }: Selection) => ({
  ...(service === undefined ? {} : { service }),
  ...(since === undefined ? {} : { since: new Date(since).toISOString() }),
});

const upTo = (records: readonly LogRecord[], until: number): readonly LogRecord[] =>
  until === Infinity ? records : records.filter(({ at }) => Date.parse(at) <= until);

/** Says what the output does not show. */
const printNotes = (
  { keptSince }: LogResponse,
  shown: readonly LogRecord[],
  { service, since }: Selection,
  now: number,
): void => {
  const kept = momentText(new Date(keptSince), now);
  const of = service === undefined ? '' : ` of Service ${service}`;
  if (shown.length === 0) printDiagnostic(`no changes${of} found; the log begins at ${kept}`);
  else if (since !== undefined && since < Date.parse(keptSince))
    printDiagnostic(`the log begins at ${kept}: the daemon started then, or earlier records are not kept`);
};

const writeDocument = async (
  response: LogResponse,
  shown: readonly LogRecord[],
  output: 'json' | 'yaml',
): Promise<void> => {
  const document = { ...response, records: shown };
  if (output === 'json') return writeText(`${JSON.stringify(document, undefined, 2)}\n`);
  const { formatYaml } = await import('../../base/yaml.js');
  return writeText(formatYaml(document));
};

const writeRecords = (
  records: readonly LogRecord[],
  { output, color, follow }: LogOptions,
  titles: boolean,
): Promise<void> => {
  if (output === 'json') return writeTexts(records.map((record) => `${JSON.stringify(record)}\n`));
  const palette = paletteFor(process.stdout, process.env, color);
  return writeTexts(logLines(records, { now: Date.now(), palette, titles, isFollowing: follow }));
};

const showOnce = async (client: AdminClient, options: LogOptions): Promise<void> => {
  const now = Date.now();
  const selection = selectionOf(options, now);
  const response = await client.log(queryOf(selection));
  const shown = upTo(response.records, selection.until);
  const { output, noHeaders } = options;
  if (output !== 'table') return writeDocument(response, shown, output);
  if (shown.length > 0) await writeRecords(shown, options, !noHeaders);
  printNotes(response, shown, selection, now);
};

/** Shorter than the daemon allows. */
const waitSeconds = 20;
const reconnectMilliseconds = 1_000;

/** Shows records as they come, until a signal. A daemon that restarts is waited for. */
const follow = async (client: AdminClient, options: LogOptions): Promise<void> => {
  if (options.output === 'yaml') throw new UsageError('--follow supports only -o table and json');
  const ended = abortOnSignal();
  const query = queryOf(selectionOf(options, Date.now()));
  let { records, lastId } = await client.log(query, ended);
  await writeRecords(records, options, !options.noHeaders);
  let isConnected = true;
  while (!ended.aborted) {
    try {
      ({ records, lastId } = await client.log({ ...query, after: String(lastId), waitSeconds }, ended));
      isConnected = true;
      await writeRecords(records, options, false);
    } catch (error) {
      if (ended.aborted) return;
      if (!(error instanceof DaemonUnavailableError)) throw error;
      if (isConnected) printDiagnostic(`${error.message} Waiting for it.`);
      isConnected = false;
      await sleep(reconnectMilliseconds, ended);
    }
  }
};

/** Shows what the daemon changed in the kernel lately, and why. */
export const log = async (options: LogOptions): Promise<number> => {
  const client = adminClient(options);
  try {
    if (client === undefined) throw new DaemonUnavailableError(adminSocketDisabled);
    await (options.follow ? follow(client, options) : showOnce(client, options));
    return exitStatus.success;
  } catch (error) {
    if (error instanceof UsageError || error instanceof InputError) throw error;
    printDiagnostic(messageOf(error));
    return exitStatus.error;
  }
};
