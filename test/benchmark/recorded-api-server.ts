import { createServer } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { encodeEvent, protobufType } from '../support/api-protobuf.js';
import { bookmark } from '../support/api-responses.js';
import { createAuthority, createCertificate } from '../support/certificates.js';
import { nodeObject, serviceObject, sliceObject } from './cluster-objects.js';
import type { ApiObject, Kind } from '../support/api-objects.js';

/** The events of a watch that begins with a list, encoded: an API server has its objects encoded too. */
const recorded = (kind: Kind, objects: readonly ApiObject[]): Buffer =>
  Buffer.concat([
    ...objects.map((object) =>
      encodeEvent({
        type: 'ADDED',
        object: { ...object, metadata: { ...object.metadata, resourceVersion: '1' } } as ApiObject,
      }),
    ),
    encodeEvent(bookmark(kind, 1, true) as { type: string; object: ApiObject }),
  ]);

export interface RecordedCluster {
  readonly services: number;
  /** For each Service. */
  readonly endpoints: number;
}

/** Serves the watches of a cluster in protobuf over HTTPS. Resolves with a kubeconfig in JSON. */
export const startRecordedApiServer = async ({ services, endpoints }: RecordedCluster): Promise<string> => {
  const indexes = Array.from({ length: services }, (_, index) => index);
  const bodies: ReadonlyMap<string, Buffer> = new Map([
    ['/api/v1/services', recorded('Service', indexes.map(serviceObject))],
    [
      '/apis/discovery.k8s.io/v1/endpointslices',
      recorded(
        'EndpointSlice',
        indexes.map((index) => sliceObject(index, endpoints)),
      ),
    ],
    ['/api/v1/nodes', recorded('Node', [nodeObject])],
  ]);
  const authority = createAuthority('benchmark');
  const { key, certificate } = createCertificate(authority, 'api-server');
  const server = createServer({ key, cert: certificate }, (request, response) => {
    const body = bodies.get(new URL(request.url ?? '', 'https://server').pathname);
    if (body === undefined) return void response.writeHead(404).end();
    response.writeHead(200, { 'content-type': `${protobufType};stream=watch` });
    response.write(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cluster = {
    server: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    'certificate-authority-data': Buffer.from(authority.certificate).toString('base64'),
  };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user: { token: 'x' } }],
  });
};
