import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../../src/model/endpoint.js';
import type { RealServerKey, VirtualServerKey } from '../../../src/model/virtual-server.js';
import { DesiredState } from '../../../src/plan/desired-state.js';
import { departureOf } from '../../../src/plan/endpoints/former-endpoints.js';
import { render } from '../../../src/plan/render/render.js';
import { renderContext } from '../../../src/plan/render/render-context.js';
import {
  deadTerminating,
  nodeFacts,
  notReady,
  ready,
  service,
  servingTerminating,
  settings,
  slice,
  type EndpointSpec,
} from '../../support/objects.js';

const context = renderContext(nodeFacts(), settings());
const web = service('web', { clusterIP: '10.96.0.1' });
const virtual = 'TCP 10.96.0.1:80' as VirtualServerKey;
const first = '10.1.0.1:80' as RealServerKey;

/** The former endpoint 10.1.0.1:80 after each of these slices; 10.1.0.9 is always present. */
const knownAfter = (...states: readonly (EndpointSpec | undefined)[]) => {
  const desired = new DesiredState();
  return states.map((state) => {
    const endpoints = [...(state === undefined ? [] : [state]), ready('10.1.0.9')];
    desired.replace(web.key, render(web, [slice('web', endpoints)], context));
    return desired.formerEndpoint(virtual, first);
  });
};

const described = (endpoint: Endpoint | undefined): string | undefined =>
  endpoint && `${departureOf(endpoint)} from ${endpoint.nodeName}`;

const on = { on: 'n7' };
const rows: readonly [claim: string, then: readonly (EndpointSpec | undefined)[], known: string][] = [
  ['disappears from the slice at once', [undefined], 'removed from n7'],
  ['terminates and continues to serve', [servingTerminating('10.1.0.1', on)], 'terminating from n7'],
  ['terminates and then disappears', [servingTerminating('10.1.0.1', on), undefined], 'terminating from n7'],
  ['becomes unready because it loses its node', [notReady('10.1.0.1', on)], 'unready from n7'],
  [
    'loses its node while it terminates',
    [servingTerminating('10.1.0.1', on), deadTerminating('10.1.0.1', on), undefined],
    'unready from n7',
  ],
];
for (const [claim, then, known] of rows)
  test(`an endpoint that ${claim} is known as "${known}"`, () =>
    assert.equal(described(knownAfter(ready('10.1.0.1', on), ...then).at(-1)), known));

test('an endpoint that is desired again or was never used is not a former endpoint', () => {
  const [, left, back] = knownAfter(ready('10.1.0.1'), undefined, ready('10.1.0.1'));
  assert.ok(left !== undefined && back === undefined);
  assert.deepEqual(knownAfter(undefined), [undefined]);
});

test('after a restart terminating endpoints are known from the current slices', () => {
  assert.equal(described(knownAfter(servingTerminating('10.1.0.1', on)).at(0)), 'terminating from n7');
});

test('the endpoints of a deleted Service are known until the kernel no longer has their real servers', () => {
  const desired = new DesiredState();
  desired.replace(web.key, render(web, [slice('web', [ready('10.1.0.1', on), ready('10.1.0.2')])], context));
  desired.replace(web.key, undefined);
  assert.equal(described(desired.formerEndpoint(virtual, first)), 'removed from n7');
  desired.formerEndpoints.retain(virtual, new Map([[first, undefined]]));
  assert.equal(described(desired.formerEndpoint(virtual, first)), 'removed from n7');
  assert.equal(desired.formerEndpoint(virtual, '10.1.0.2:80' as RealServerKey), undefined);
  desired.formerEndpoints.retain(virtual, undefined);
  assert.equal(desired.formerEndpoints.size, 0);
});
