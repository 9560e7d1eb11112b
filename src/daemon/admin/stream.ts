import { Readable } from 'node:stream';
import { Turns } from '../../base/async.js';
import type { Answer } from '../serving/answer.js';
import { jsonAnswer } from '../serving/answer.js';
import type { VirtualServerTable } from '../../model/virtual-server.js';
import type { ErrorAnswer } from '../../plan/admin-answers.js';
import { realServerJson, sortedRealServers, virtualServerSettingsJson } from '../../plan/table.js';

/** How long writing an answer may hold up everything else. */
const longestTurnMilliseconds = 2;

/** What is handed to the socket at a time. */
const chunkLength = 64 * 1024;

/** A member of an object whose value is one thing, or a list or object that is written bit by bit. */
export type Member = readonly [name: string, value: Plain | Iterable<string>];
type Plain = string | number | boolean;

const isBitByBit = (value: Member[1]): value is Iterable<string> => typeof value === 'object';

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
export function* listTexts(items: Iterable<Iterable<string>>): Iterable<string> {
  let mark = '[';
  for (const item of items) {
    yield mark;
    yield* item;
    mark = ',\n';
  }
  yield mark === '[' ? '[]' : ']';
}

/** The texts of an object whose members may be written bit by bit themselves. */
export function* objectTexts(members: Iterable<Member>): Iterable<string> {
  let mark = '{';
  for (const [name, value] of members) {
    yield `${mark}${JSON.stringify(name)}:`;
    if (isBitByBit(value)) yield* value;
    else yield JSON.stringify(value);
    mark = ',\n';
  }
  yield mark === '{' ? '{}' : '}';
}

/** The members of an object, each written at once; what is undefined is left out. */
export const wholeMembers = (value: object): readonly Member[] =>
  Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .map(([name, member]): Member => [name, [JSON.stringify(member)]]);

/** The texts of a virtual server in the JSON contract, of which some have thousands of real servers. */
export const virtualServerTexts = (table: VirtualServerTable): Iterable<string> =>
  objectTexts([
    ...wholeMembers(virtualServerSettingsJson(table.server)),
    ['realServers', objectMembers(realServerEntries(table))],
  ]);

function* realServerEntries(table: VirtualServerTable): Iterable<readonly [string, unknown]> {
  for (const server of sortedRealServers(table)) yield [server.key, realServerJson(server)];
}

async function* chunksOf(texts: Iterable<string>): AsyncIterable<string> {
  const turns = new Turns(longestTurnMilliseconds);
  let chunk = '';
  for (const text of texts) {
    chunk += text;
    if (chunk.length >= chunkLength) {
      yield chunk;
      chunk = '';
    }
    if (turns.isOver) await turns.turn();
  }
  yield chunk;
}

function* lineOf(members: readonly Member[]): Iterable<string> {
  yield* objectTexts(members);
  yield '\n';
}

/** An object that may be big: made as it is read, so that it costs neither memory nor the time of others. */
export const streamAnswer = (members: readonly Member[]): Answer => ({
  status: 200,
  headers: jsonAnswer('').headers,
  body: Readable.from(chunksOf(lineOf(members)), { objectMode: false, highWaterMark: chunkLength }),
});

/** An answer that is there already, but may be long: its lists are written item by item. */
export const listsAnswer = (value: object): Answer =>
  streamAnswer(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(
        ([name, member]): Member => [
          name,
          Array.isArray(member) ? listItems(member) : [JSON.stringify(member)],
        ],
      ),
  );

export const valueAnswer = (value: object): Answer => jsonAnswer(`${JSON.stringify(value)}\n`);

export const errorAnswer = (status: number, error: string): Answer =>
  jsonAnswer(`${JSON.stringify({ version: 1, error } satisfies ErrorAnswer)}\n`, status);
