import type { ServerResponse } from 'node:http';
import { wire, type ApiObject, type Kind } from './api-objects.js';
import { encodeEvent, encodeList, encodeObject, protobufType } from './api-protobuf.js';

export interface ApiEvent {
  readonly type: string;
  readonly object: object;
}

export interface ApiList {
  readonly kind: Kind;
  readonly metadata: object;
  readonly items: readonly ApiObject[];
}

/** How the test API server writes its answers. */
export interface Encoding {
  readonly contentType: string;
  /** The content type of a watch. */
  readonly streamType: string;
  /** A whole object. */
  object(object: object): Buffer;
  event(event: ApiEvent): Buffer;
  /** The list in parts, each of which ends with an item; then the end. */
  list(list: ApiList): { readonly parts: readonly Buffer[]; readonly end: Buffer };
  /** What is no event. */
  readonly garbage: Buffer;
  /** The beginning of an event that does not end. */
  readonly endless: Buffer;
}

export const apiVersionOf = (kind: Kind): string => (kind === 'EndpointSlice' ? 'discovery.k8s.io/v1' : 'v1');

/** Watched objects say their kind first; listed ones leave it to the list. */
const watched = (object: object): unknown => {
  if (wire in object) return object[wire];
  const { kind, apiVersion, ...rest } = object as Partial<ApiObject>;
  return { kind, apiVersion, ...rest };
};

const listed = (object: ApiObject): unknown => {
  if (wire in object) return object[wire];
  const { kind: _kind, apiVersion: _apiVersion, ...rest } = object;
  return rest;
};

const json: Encoding = {
  contentType: 'application/json',
  streamType: 'application/json',
  object: (object) => Buffer.from(`${JSON.stringify(watched(object))}\n`),
  event: ({ type, object }) => Buffer.from(`${JSON.stringify({ type, object: watched(object) })}\n`),
  list: ({ kind, metadata, items }) => {
    const all = { kind: `${kind}List`, apiVersion: apiVersionOf(kind), metadata, items: [] };
    const head = JSON.stringify(all).slice(0, -2);
    return {
      parts: items.map((item, index) =>
        Buffer.from(`${index === 0 ? head : ','}${JSON.stringify(listed(item))}`),
      ),
      end: Buffer.from(`${items.length === 0 ? head : ''}]}\n`),
    };
  },
  garbage: Buffer.from('{"type":"ADDED","object":{"met\n'),
  endless: Buffer.from('{"type":"ADDED","object":"'),
};

const protobuf: Encoding = {
  contentType: protobufType,
  streamType: `${protobufType};stream=watch`,
  object: (object) => encodeObject(object as ApiObject),
  event: ({ type, object }) => encodeEvent({ type, object: object as ApiObject }),
  list: ({ kind, metadata, items }) =>
    encodeList({ kind: `${kind}List`, apiVersion: apiVersionOf(kind), metadata }, items),
  garbage: Buffer.from([0, 0, 0, 4, 0x0a, 0x7f, 0x41, 0x44]),
  endless: Buffer.from([0x7f, 0xff, 0xff, 0xff]),
};

/** The encoding that the client of this response prefers. */
export const encodingFor = ({ req }: ServerResponse): Encoding =>
  req.headers.accept?.includes(protobufType) === true ? protobuf : json;
