import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listOrObstacle, RemovalReport, type Removal } from '../../../src/cli/cleanup/removal.js';
import { NetlinkError, ProtocolError } from '../../../src/netlink/errors.js';

const removed: string[] = [];
const removal = (what: string, failure?: Error): Removal => ({
  what,
  remove: async () => {
    if (failure !== undefined) throw failure;
    removed.push(what);
    return undefined;
  },
});

test('what cannot be removed does not keep what comes after it', async () => {
  const report = new RemovalReport(false, 'json');
  const left = await report.perform([
    removal('chains', new NetlinkError('list the chains', 4)),
    { what: 'rules', obstacle: 'they are of iptables' },
    removal('table', new ProtocolError('cut off')),
    removal('set'),
  ]);
  assert.equal(left, 3);
  assert.deepEqual(removed, ['set']);
});

test('an error of the program itself is not told as a removal that failed', async () => {
  const report = new RemovalReport(false, 'json');
  await assert.rejects(report.perform([removal('set', new TypeError('a mistake'))]), TypeError);
});

test('what cannot be listed is left, and does not keep other things', async () => {
  const found = [removal('set')];
  assert.equal(await listOrObstacle('sets', async () => found), found);
  const interrupted = new NetlinkError('list the sets', 4);
  assert.deepEqual(await listOrObstacle('sets', () => Promise.reject(interrupted)), {
    what: 'sets',
    obstacle: 'list the sets: EINTR (interrupted system call)',
  });
  for (const errno of [1, 13]) {
    const refused = new NetlinkError('list the sets', errno);
    await assert.rejects(
      listOrObstacle('sets', () => Promise.reject(refused)),
      refused,
    );
  }
});
