import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  commonMeanings,
  decide,
  meaningOf,
  operationMeanings,
  readMeanings,
} from '../../../src/apply/retry/decisions.js';
import type { IpAddress } from '../../../src/base/ip.js';
import { setElement } from '../../../src/nftables/declarations.js';
import type { Operation, Outcome } from '../../../src/model/operation.js';
import { at, virtual } from '../../support/virtual-server-entries.js';

/** The table as text. */
const lines = (): readonly string[] => [
  ...Object.entries(commonMeanings).map(([decision, errnos]) => `any: ${errnos.join(' ')} → ${decision}`),
  ...Object.entries(operationMeanings).flatMap(([kind, ofKind]) =>
    Object.entries(ofKind).map(([errno, decision]) => `${kind}: ${errno} → ${decision}`),
  ),
  ...Object.entries(readMeanings).map(([errno, decision]) => `read: ${errno} → ${decision}`),
];

test('every errno has a decision', () => {
  assert.deepEqual(lines(), [
    'any: EINTR EAGAIN EBUSY ERESTART → retry-soon',
    'any: ENOMEM ENOBUFS ENOSPC ENFILE EMFILE EPERM EACCES ETIMEDOUT ENETDOWN EIO → retry',
    'any: EINVAL ERANGE EDOM E2BIG EMSGSIZE EOVERFLOW ENAMETOOLONG EAFNOSUPPORT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP ENOTSUPP → give-up',
    'any: EBADF ENOTSOCK ENOTCONN ECONNREFUSED ECONNRESET EPIPE ESHUTDOWN → reopen',
    'add-virtual-server: EEXIST → reread',
    'add-virtual-server: ENOENT → give-up',
    'update-virtual-server: ESRCH → reread',
    'update-virtual-server: ENOENT → give-up',
    'delete-virtual-server: ESRCH → applied',
    'add-real-server: EEXIST → reread',
    'add-real-server: ESRCH → reread',
    'update-real-server: ENOENT → reread',
    'update-real-server: ESRCH → reread',
    'delete-real-server: ENOENT → applied',
    'delete-real-server: ESRCH → reread',
    'add-element: EEXIST → reread',
    'add-element: ENOENT → reread',
    'delete-element: ENOENT → reread',
    'bind-address: EEXIST → applied',
    'bind-address: ENODEV → ensure-device',
    'bind-address: ENONET → ensure-device',
    'bind-address: EADDRNOTAVAIL → give-up',
    'unbind-address: EADDRNOTAVAIL → applied',
    'unbind-address: ENODEV → applied',
    'unbind-address: ENONET → applied',
    'unbind-address: ESRCH → applied',
    'read: ENOMEM → retry-soon',
    'read: ENOBUFS → retry-soon',
  ]);
});

test('an errno that is not listed, or not for the operation, is retried with growing delays', () => {
  assert.equal(meaningOf('add-virtual-server', 'EXDEV'), 'retry');
  assert.equal(meaningOf('add-virtual-server', 'E4711'), 'retry');
  assert.equal(meaningOf('delete-virtual-server', 'ENOENT'), 'retry');
});

test('without a reply a virtual server is read again; an address or element operation is retried', () => {
  const address = '10.96.0.1' as IpAddress;
  const unknown: Outcome = { status: 'unknown' };
  const decided = (operation: Operation): string => decide(operation, unknown);
  const identity = at('TCP', '10.96.0.1', 80);
  assert.equal(decided({ kind: 'add-virtual-server', server: virtual(identity) }), 'reread');
  assert.equal(decided({ kind: 'bind-address', address, binding: 'address' }), 'retry-soon');
  const element = setElement('IPv4', 'vips', [address]);
  assert.equal(decided({ kind: 'add-element', element }), 'retry-soon');
});
