import assert from 'node:assert/strict';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { proxySwitch } from '../../../src/cli/migrate/proxy-switch.js';
import { UsageError } from '../../../src/config/parse-flags.js';

const never = async (): Promise<void> => assert.fail('a command waits itself');
const noLabel = async (): Promise<void> => assert.fail('the label is not set');

test('without commands, the label of the Node moves the proxies; it is tried first', async () => {
  const labels: (readonly unknown[] | string)[] = [];
  const bySwitch = proxySwitch(
    { toKubeIpvs: undefined, toKubeProxy: undefined },
    'node-1',
    async (...given) => {
      labels.push(given);
    },
  );
  await bySwitch.rehearse();
  assert.equal(labels.length, 1);
  assert.deepEqual(labels[0], ['changing', { dryRun: true }]);
  const stopped = async () => {
    labels.push('stopped');
  };
  await bySwitch.toKubeIpvs(stopped);
  await bySwitch.toKubeProxy(stopped);
  const order: readonly unknown[] = [
    ['changing'],
    'stopped',
    ['kube-ipvs'],
    ['changing'],
    'stopped',
    [undefined],
  ];
  assert.deepEqual(labels.slice(1), order);
  assert.equal(
    bySwitch.done.toKubeIpvs,
    'set the label kube-ipvs.dev/service-proxy=kube-ipvs of Node node-1',
  );
});

test('commands run in a shell; one that fails is an error', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'switch-')), 'switched');
  const byCommand = proxySwitch({ toKubeIpvs: `: > '${file}'`, toKubeProxy: 'exit 7' }, 'node-1', noLabel);
  await byCommand.rehearse();
  assert.ok(!existsSync(file));
  await byCommand.toKubeIpvs(never);
  assert.ok(existsSync(file));
  await assert.rejects(byCommand.toKubeProxy(never), /^BaseError: the command "exit 7" ended with status 7$/);
});

test('one command alone is wrong usage', () => {
  assert.throws(
    () => proxySwitch({ toKubeIpvs: 'true', toKubeProxy: undefined }, 'node-1', noLabel),
    UsageError,
  );
});
