import { Readable } from 'node:stream';
import { Yielder } from '../../base/async.js';
import type { HttpResponse } from '../serving/http-response.js';
import { jsonResponse } from '../serving/http-response.js';
import type { VirtualServerEntry } from '../../model/virtual-server.js';
import type { ErrorResponse } from '../../admin-api/responses.js';
import {
  realServerJson,
  sortedRealServers,
  virtualServerSettingsJson,
} from '../../plan/output/ipvs-table-formats.js';

/** How long writing a response may block the event loop. */
const maximumBlockingMilliseconds = 2;

/** How much is passed to the socket at a time. */
const chunkLength = 64 * 1024;

/** A member of an object. Its value is a plain value, or the chunks of a list or object. */
export type JsonMember = readonly [name: string, value: Plain | Iterable<string>];
type Plain = string | number | boolean;

const isIncremental = (value: JsonMember[1]): value is Iterable<string> => typeof value === 'object';

/** The chunks of a list of items that are JSON texts. */
export function* listTexts(items: Iterable<string>): Iterable<string> {
  let mark = '[';
  for (const item of items) {
    yield `${mark}${item}`;
    mark = ',\n';
  }
  yield mark === '[' ? '[]' : ']';
}

function* jsonTexts(items: Iterable<unknown>): Iterable<string> {
  for (const item of items) yield JSON.stringify(item);
}

/** The chunks of a list. */
export const listItems = (items: Iterable<unknown>): Iterable<string> => listTexts(jsonTexts(items));

/** The chunks of an object. */
export function* objectMembers(entries: Iterable<readonly [string, unknown]>): Iterable<string> {
  let mark = '{';
  for (const [name, value] of entries) {
    yield `${mark}${JSON.stringify(name)}:${JSON.stringify(value)}`;
    mark = ',\n';
  }
  yield mark === '{' ? '{}' : '}';
}

/** The chunks of a list of items that are chunks themselves. */
export function* listChunks(items: Iterable<Iterable<string>>): Iterable<string> {
  let mark = '[';
  for (const item of items) {
    yield mark;
    yield* item;
    mark = ',\n';
  }
  yield mark === '[' ? '[]' : ']';
}

/** The chunks of an object whose members may be chunks themselves. */
export function* objectChunks(members: Iterable<JsonMember>): Iterable<string> {
  let mark = '{';
  for (const [name, value] of members) {
    yield `${mark}${JSON.stringify(name)}:`;
    if (isIncremental(value)) yield* value;
    else yield JSON.stringify(value);
    mark = ',\n';
  }
  yield mark === '{' ? '{}' : '}';
}

/** The members of an object, without those that are undefined. */
export const plainMembers = (value: object): readonly JsonMember[] =>
  Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .map(([name, member]): JsonMember => [name, [JSON.stringify(member)]]);

/** The chunks of a virtual server in the JSON contract; it may have thousands of real servers. */
export const virtualServerChunks = (table: VirtualServerEntry): Iterable<string> =>
  objectChunks([
    ...plainMembers(virtualServerSettingsJson(table.server)),
    ['realServers', objectMembers(realServerEntries(table))],
  ]);

function* realServerEntries(table: VirtualServerEntry): Iterable<readonly [string, unknown]> {
  for (const server of sortedRealServers(table)) yield [server.key, realServerJson(server)];
}

async function* mergeChunks(texts: Iterable<string>): AsyncIterable<string> {
  const yielder = new Yielder(maximumBlockingMilliseconds);
  let chunk = '';
  for (const text of texts) {
    chunk += text;
    if (chunk.length >= chunkLength) {
      yield chunk;
      chunk = '';
    }
    if (yielder.isDue) await yielder.yieldIfDue();
  }
  yield chunk;
}

function* lineOf(members: readonly JsonMember[]): Iterable<string> {
  yield* objectChunks(members);
  yield '\n';
}

/** A response that may be large: it is rendered while the client reads, in small steps. */
export const streamResponse = (members: readonly JsonMember[]): HttpResponse => ({
  status: 200,
  headers: jsonResponse('').headers,
  body: Readable.from(mergeChunks(lineOf(members)), { objectMode: false, highWaterMark: chunkLength }),
});

/** Streams a value whose lists may be long. */
export const listsResponse = (value: object): HttpResponse =>
  streamResponse(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(
        ([name, member]): JsonMember => [
          name,
          Array.isArray(member) ? listItems(member) : [JSON.stringify(member)],
        ],
      ),
  );

export const valueResponse = (value: object): HttpResponse => jsonResponse(`${JSON.stringify(value)}\n`);

export const errorResponse = (status: number, error: string): HttpResponse =>
  jsonResponse(`${JSON.stringify({ version: 1, error } satisfies ErrorResponse)}\n`, status);
