import { adminVersion } from '../../admin-api/responses.js';
import type { ChangeLog } from '../history/change-log.js';
import type { HttpResponse } from '../serving/http-response.js';
import { errorResponse, listTexts, streamResponse } from './json-stream.js';

/** Shorter than the time after which a client of the admin socket is disconnected. */
const maximumWaitSeconds = 25;

/** `field` of the query as a number; undefined if it is not one. */
const numberOf = (query: URLSearchParams, field: string): number | undefined => {
  const text = query.get(field) ?? '0';
  return /^\d{1,16}$/.test(text) ? Number(text) : undefined;
};

/** Milliseconds since 1970; undefined if the text is no time. */
const timeOf = (text: string): number | undefined => {
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
};

const wrongField = (field: string, query: URLSearchParams, expected: string): HttpResponse =>
  errorResponse(400, `${field}: ${JSON.stringify(query.get(field))} is not valid (expected ${expected})`);

/** The records of the log that the query selects; waits for the first one if it says so. */
export const logPage = async (
  query: URLSearchParams,
  log: Pick<ChangeLog, 'keptSince' | 'read' | 'waitForRecord'>,
): Promise<HttpResponse> => {
  const after = numberOf(query, 'after');
  if (after === undefined) return wrongField('after', query, 'the id of a record');
  const wait = numberOf(query, 'wait');
  if (wait === undefined || wait > maximumWaitSeconds)
    return wrongField('wait', query, `a number of seconds, at most ${maximumWaitSeconds}`);
  const since = timeOf(query.get('since') ?? '1970-01-01T00:00:00Z');
  if (since === undefined) return wrongField('since', query, 'a time such as 2026-11-23T10:00:00Z');
  if (wait > 0) await log.waitForRecord(after, wait * 1_000);
  const service = query.get('service') ?? undefined;
  const { lastId, records } = log.read({ after, since, service });
  return streamResponse([
    ['version', adminVersion],
    ['keptSince', new Date(log.keptSince).toISOString()],
    ['lastId', lastId],
    ['records', listTexts(records)],
  ]);
};
