import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cases } from './matrix.js';
import { TwoNodeNetwork } from './network.js';
import { healthCheckPorts, runSetting, type Finding } from './run.js';
import { tableOf } from './table.js';

/** A test for each case of the traffic matrix that has rows for one of these settings. */
export const testSettings = (...names: readonly string[]): void => {
  const findings = new Map<string, readonly Finding[]>();
  before(async () => {
    await using network = await TwoNodeNetwork.up(healthCheckPorts);
    for (const name of names) findings.set(name, await runSetting(network, name));
  });
  after(() => {
    for (const [name, found] of findings) process.stdout.write(`${tableOf(name, found)}\n`);
  });
  for (const name of names)
    for (const one of cases.filter(({ rows }) => rows.some(({ settings }) => settings.includes(name))))
      test(`${name}: ${one.name}: ${one.about}`, () => {
        const own = (findings.get(name) ?? []).filter((finding) => finding.of === one.name);
        assert.ok(own.length > 0);
        assert.ok(
          own.every(({ ok }) => ok),
          `\n${tableOf(name, own)}`,
        );
      });
};
