import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checks, evaluateChecks } from '../../src/doctor/all-checks.js';
import { advise, type Remedy } from '../../src/doctor/remedy.js';
import { blindFacts, goodFacts } from '../support/doctor-facts.js';
import { cases as otherCases } from './check-cases.js';
import { ipvsConfigurationCases } from './ipvs-configuration-cases.js';

const cases = [...otherCases, ...ipvsConfigurationCases];

test('on a good node every check passes, and there is nothing to do', () => {
  const wrong = evaluateChecks(goodFacts).filter(
    ({ result, remedies }) => result !== 'pass' || remedies.length > 0,
  );
  assert.deepEqual(wrong, []);
});

test('ids are words of their own, and every check tells why it matters in a sentence', () => {
  const ids = checks.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(checks.length >= 30, `${checks.length} checks`);
  for (const { id, why, title } of checks) {
    assert.match(id, /^[a-z0-9]+(-[a-z0-9]+)*$/);
    assert.match(why, /^[A-Z].*\.$/, id);
    assert.doesNotMatch(title, /\.$/, id);
  }
});

const commandsOf = (remedies: readonly Remedy[]): readonly string[] =>
  remedies.flatMap(({ command }) => command ?? []);

for (const { what, id, wrong, result, shows, advises = [], commands } of cases)
  test(`${id}: ${what}`, () => {
    const report = checks.find((other) => other.id === id)?.run({ ...goodFacts, ...wrong });
    assert.ok(report);
    assert.equal(report.result, result);
    for (const text of shows) assert.ok(report.seen.includes(text), `${report.seen} shows ${text}`);
    const advice = report.remedies.map((remedy) => remedy.advice).join(' ');
    for (const text of advises) assert.ok(advice.includes(text), `${advice} has ${text}`);
    assert.deepEqual(commandsOf(report.remedies), commands);
    for (const remedy of report.remedies) assert.match(remedy.advice, /^[A-Z].*[.:]$/);
  });

test('every check has a case in which it does not pass', () => {
  const tried = new Set(cases.map(({ id }) => id));
  assert.deepEqual(
    checks.filter(({ id }) => !tried.has(id)).map(({ id }) => id),
    [],
  );
});

test('where nothing may be looked at no check throws, and what needs no look is told all the same', () => {
  const outcomes = evaluateChecks(blindFacts);
  assert.deepEqual(
    outcomes.filter(({ result }) => result !== 'unknown').map(({ id, result }) => `${result} ${id}`),
    ['pass kernel-version', 'pass network-namespace', 'pass configuration'],
  );
  for (const { id, seen, remedies } of outcomes.filter(({ result }) => result === 'unknown'))
    assert.ok(seen !== '' && remedies.length > 0, `${id} says why and what helps`);
});

test('where the Services come from files, no API server is missed', () => {
  const wrong = evaluateChecks({ ...goodFacts, api: { value: 'files' } }).filter(
    ({ result }) => result !== 'pass',
  );
  assert.deepEqual(wrong, []);
});

test('one look that fails makes only those checks unknown that need it', () => {
  const outcomes = evaluateChecks({
    ...goodFacts,
    chains: { unavailable: 'EPERM', remedies: [advise('Run as root.')] },
  });
  assert.deepEqual(
    outcomes
      .filter(({ result }) => result !== 'pass')
      .map(({ id, result, seen }) => `${result} ${id}: ${seen}`),
    [
      'unknown input-policy: EPERM',
      'unknown kube-proxy-leftovers: EPERM',
      'unknown other-dataplanes: EPERM',
      'unknown host-ports: EPERM',
    ],
  );
});
