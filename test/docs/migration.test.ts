import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { proxyLabel } from '../../src/cli/migrate/proxy-switch.js';
import { migrationGroups } from '../../src/doctor/check.js';
import { migrationChecks } from '../../src/doctor/migration/migration-checks.js';

const page = readFileSync('docs/migration.md', 'utf8');

test('docs/migration.md starts with the command, and lists the checks that only it has', () => {
  assert.match(page, /^# [^\n]*\n[^]{0,300}\n {4}kube-ipvs migrate check/);
  const listed = [...page.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, id]) => id);
  const groups: readonly string[] = migrationGroups;
  assert.deepEqual(
    listed,
    migrationChecks.filter(({ group }) => groups.includes(group)).map(({ id }) => id),
  );
});

test('the guide, the overlay and the script use the label that the command sets', () => {
  const { key, kubeIpvs: value } = proxyLabel;
  assert.ok(page.includes(`${key}=${value}`));
  const overlay = readFileSync('deploy/migration/kustomization.yaml', 'utf8');
  assert.ok(overlay.includes(`${key.replace('/', '~1')}\n        value: ${value}`));
  assert.ok(readFileSync('deploy/migrate-nodes', 'utf8').includes(`label=${key}\n`));
});
