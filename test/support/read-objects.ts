import type { EndpointSlice } from '../../src/model/endpoint.js';
import type { Node } from '../../src/model/node.js';
import type { Service } from '../../src/model/service.js';
import { toEndpointSlice, toNode, toService } from '../../src/watch/objects/parse-objects.js';

export interface ReadObjects {
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
  readonly nodes: readonly Node[];
}

/** API objects as values of ours; those that are not served are left out, as a source leaves them out. */
export const readObjects = (objects: readonly object[]): ReadObjects => {
  const ofKind = <Value>(kind: string, read: (object: unknown) => { readonly value: Value | undefined }) =>
    objects
      .filter((object) => 'kind' in object && object.kind === kind)
      .flatMap((object) => read(object).value ?? []);
  return {
    services: ofKind('Service', toService),
    slices: ofKind('EndpointSlice', toEndpointSlice),
    nodes: ofKind('Node', toNode),
  };
};
