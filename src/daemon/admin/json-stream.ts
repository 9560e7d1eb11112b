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

/** How long writing an answer may hold up everything else. */
const maximumBlockingMilliseconds = 2;

/** What is handed to the socket at a time. */
const chunkLength = 64 * 1024;

/** A member of an object whose value is one thing, or a list or object that is written bit by bit. */
export type JsonMember = readonly [name: string, value: Plain | Iterable<string>];
type Plain = string | number | boolean;

const isIncremental = (value: JsonMember[1]): value is Iterable<string> => typeof value === 'object';

/** The texts of a list's items, to be written bit by bit. */
export function* listItems(items: Iterable<unknown>): Iterable<string> {
  let mark = '[';
  for (const item of items) {
    yield `${mark}${JSON.stringify(item)}`;
    mark = ',\n';
  }
  yield mark === '[' ? '[]' : ']';
}

/** The texts of an object's members, to be written bit by bit. */
export function* objectMembers(entries: Iterable<readonly [string, unknown]>): Iterable<string> {
  let mark = '{';
  for (const [name, value] of entries) {
    yield `${mark}${JSON.stringify(name)}:${JSON.stringify(value)}`;
    mark = ',\n';
  }
  yield mark === '{' ? '{}' : '}';
}

/** The same of items that are written bit by bit themselves. */
export function* listChunks(items: Iterable<Iterable<string>>): Iterable<string> {
  let mark = '[';
  for (const item of items) {
    yield mark;
    yield* item;
    mark = ',\n';
  }
  yield mark === '[' ? '[]' : ']';
}

/** The texts of an object whose members may be written bit by bit themselves. */
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

/** The members of an object, each written at once; what is undefined is left out. */
export const plainMembers = (value: object): readonly JsonMember[] =>
  Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .map(([name, member]): JsonMember => [name, [JSON.stringify(member)]]);

/** The texts of a virtual server in the JSON contract, of which some have thousands of real servers. */
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

/** An object that may be big: made as it is read, so that it costs neither memory nor the time of others. */
export const streamResponse = (members: readonly JsonMember[]): HttpResponse => ({
  status: 200,
  headers: jsonResponse('').headers,
  body: Readable.from(mergeChunks(lineOf(members)), { objectMode: false, highWaterMark: chunkLength }),
});

/** An answer that is there already, but may be long: its lists are written item by item. */
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
