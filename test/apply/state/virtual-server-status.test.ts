import assert from 'node:assert/strict';
import { test } from 'node:test';
import { engineDocument } from '../../support/engine-document.js';
import { virtualServerTransitions } from '../../support/transition-tables.js';

const table = virtualServerTransitions();

const next = (status: string, event: string): string | undefined =>
  table.rows.find((row) => row.event === event)?.next[table.statuses.indexOf(status)];

test('docs/engine.md shows the transitions of the code', () => {
  const { present, expected } = engineDocument();
  assert.equal(present, expected, 'regenerate them: node build/test/support/engine-document.js');
});

test('every transition leads to a status of the table', () => {
  for (const { event, next: statuses } of table.rows)
    for (const status of statuses) assert.ok(table.statuses.includes(status), `${event}: ${status}`);
});

test('a foreign virtual server becomes owned only by adoption, after its deletion, or if a dump lists it as owned', () => {
  const leaving = table.rows
    .filter(
      ({ next: statuses }) => !['foreign', 'unconfirmed'].some((kind) => statuses.at(-1)?.startsWith(kind)),
    )
    .map(({ event }) => event);
  assert.deepEqual(leaving, [
    'created',
    'changed',
    'deleted',
    'read-present, adopted',
    'read-absent',
    'listed-ours',
    'not-listed',
  ]);
});

test('an existing virtual server is foreign when it is read, unless a request of kube-ipvs may have created it', () => {
  assert.equal(next('absent', 'exists'), 'unconfirmed (e)');
  assert.equal(next('unconfirmed (e)', 'read-present'), 'foreign');
  assert.equal(next('unconfirmed (e)', 'read-present, adopted'), 'in-sync');
  assert.equal(next('unconfirmed (o)', 'exists'), 'unconfirmed (eo)');
  assert.equal(next('unconfirmed (eo)', 'read-present'), 'in-sync');
  assert.equal(next('missing', 'exists'), 'unconfirmed (eo)');
});

test('doubt ends with a read, not with the success of another operation', () => {
  for (const status of table.statuses.filter((each) => /^un(confirmed|readable)/.test(each)))
    for (const event of ['created', 'changed', 'deleted']) assert.equal(next(status, event), status);
});

test('an unreadable virtual server keeps its known facts when it is retried', () => {
  for (const marks of ['', ' (e)', ' (o)', ' (eo)']) {
    assert.equal(next(`unconfirmed${marks}`, 'read-refused'), `unreadable${marks}`);
    assert.equal(next(`unreadable${marks}`, 'retry-due'), `unconfirmed${marks}`);
  }
});
