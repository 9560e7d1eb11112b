import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checks, evaluateChecks } from '../../src/doctor/all-checks.js';
import type { Facts, FactSources } from '../../src/doctor/facts.js';
import { runChecks } from '../../src/doctor/run-checks.js';
import { goodFacts } from '../support/doctor-facts.js';

/** The facts as sources, and which of them were looked at, in order. */
const recording = (facts: Facts): { readonly sources: FactSources; readonly lookedAt: readonly string[] } => {
  const lookedAt: string[] = [];
  const entries = Object.entries(facts).map(([part, value]) => [
    part,
    async () => {
      lookedAt.push(part);
      return value;
    },
  ]);
  return { sources: Object.fromEntries(entries) as FactSources, lookedAt };
};

test('one check looks at what it needs and at nothing else', async () => {
  const { sources, lookedAt } = recording(goodFacts);
  const chosen = checks.filter(({ id }) => id === 'kube-proxy-leftovers');
  assert.deepEqual(await runChecks(sources, chosen), evaluateChecks(goodFacts, chosen));
  assert.deepEqual(lookedAt.toSorted(), ['chains', 'configuration', 'ipsets', 'legacyChains']);
});

test('all checks come to what they do with everything known, and nothing is looked at twice', async () => {
  const { sources, lookedAt } = recording({ ...goodFacts, cpus: 1, release: '4.18.0' });
  assert.deepEqual(await runChecks(sources), evaluateChecks({ ...goodFacts, cpus: 1, release: '4.18.0' }));
  assert.equal(new Set(lookedAt).size, lookedAt.length);
});

test('a look that throws ends it', async () => {
  const { sources } = recording(goodFacts);
  const broken: FactSources = { ...sources, kernelSettings: () => Promise.reject(new Error('no /proc')) };
  await assert.rejects(runChecks(broken), /no \/proc/);
});
