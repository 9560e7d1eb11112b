import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { silentLogger } from '../../../src/base/log.js';
import { parseFlags } from '../../../src/config/parse-flags.js';
import { resolveSettings } from '../../../src/config/settings.js';
import { describeVirtualServers } from '../../../src/daemon/admin/start-admin.js';
import { serviceReport } from '../../../src/daemon/admin/service-report.js';
import { silentRecorder } from '../../../src/daemon/events/event-recorder.js';
import { ChangeableSettings } from '../../../src/daemon/config/live-settings.js';
import { Metrics } from '../../../src/daemon/metrics/registry.js';
import { compose } from '../../../src/daemon/compose.js';
import type { VirtualServerKey } from '../../../src/model/virtual-server.js';
import type { ServiceReportResponse } from '../../../src/admin-api/responses.js';
import { memoryKernel } from '../../overload/memory-kernel.js';
import { responseProblems } from '../../support/response-shapes.js';
import { ready, service, slice, thisNode } from '../../support/objects.js';

const endpointCount = 2_500;

const big = service('shop/big', { clusterIP: '10.96.0.1', ports: ['http:80', 'https:443'] });
const endpoints = Array.from({ length: endpointCount }, (_, index) => ({
  ...ready(`10.244.${index >> 8}.${index & 255}`),
  pod: `big-${index}`,
}));
const bigSlice = slice('shop/big', endpoints, { ports: ['http:8080', 'https:8443'] });

/** The parts of a daemon that has programmed the Service into a kernel in memory. */
const programmed = async (served = big) => {
  const flags = ['--proxy-mode=ipvs', '--ipvs-sync-period=1h'];
  const settings = new ChangeableSettings(
    resolveSettings({ flags: parseFlags(flags), files: [], hostname: thisNode }),
  );
  const metrics = new Metrics({ version: '0.0.0', processMetrics: false });
  const wired = compose(settings, memoryKernel(), silentRecorder, metrics, silentLogger);
  await wired.readInitialState();
  await wired.dummy.ensure();
  const synced = new Promise<void>((resolve) => wired.onSynced(resolve));
  const started = wired.syncLoop.start();
  wired.store.replaceAll({
    services: new Map([[served.key, served]]),
    endpointSlices: new Map([[bigSlice.key, bigSlice]]),
    node: undefined,
  });
  await Promise.all([started, synced]);
  return {
    ...wired,
    descriptions: describeVirtualServers(wired, settings),
    events: { of: () => [] },
    serviceDefaults: () => ({ scheduler: 'lc', 'upper-threshold': '9' }),
  };
};

test('the story of a Service with many endpoints is whole, and others have their turns while it is written', async () => {
  const parts = await programmed();
  const { body } = serviceReport(big.key, parts) ?? {};
  assert.ok(body instanceof Readable);
  let turns = 0;
  const counting = setInterval(() => (turns += 1), 0);
  const story = JSON.parse(await text(body)) as ServiceReportResponse;
  clearInterval(counting);
  await parts.syncLoop[Symbol.asyncDispose]();
  assert.deepEqual(responseProblems('ServiceReportResponse', story), []);
  assert.ok(turns > 2, `${turns} turns`);
  assert.deepEqual([story.endpointCount, story.endpoints.length], [2 * endpointCount, 2 * endpointCount]);
  assert.deepEqual(
    story.virtualServers.map(({ key }) => key),
    ['TCP 10.96.0.1:80', 'TCP 10.96.0.1:443'],
  );
  for (const { key, realServers, wanted, kernel } of story.virtualServers) {
    assert.deepEqual(realServers, parts.descriptions.of(key as VirtualServerKey)?.realServers);
    assert.equal(Object.keys(realServers).length, endpointCount);
    assert.deepEqual(kernel, wanted);
    assert.deepEqual(Object.keys(kernel?.realServers ?? {}).length, endpointCount);
  }
  assert.equal(serviceReport('shop/none' as typeof big.key, parts), undefined);
});

test('the settings of a Service say where they are from', async () => {
  const annotations = { scheduler: 'sh', flags: 'sh-port' };
  const parts = await programmed({ ...big, annotations });
  const settingsOf = async (): Promise<unknown> => {
    const { body } = serviceReport(big.key, parts) ?? {};
    assert.ok(body instanceof Readable);
    const report = JSON.parse(await text(body)) as ServiceReportResponse;
    assert.deepEqual(responseProblems('ServiceReportResponse', report), []);
    assert.equal(report.service.scheduler, 'sh');
    return [report.service.settings, report.problems.map(({ reason }) => reason)];
  };
  const fromDefault = { 'upper-threshold': { value: '9', from: 'configuration' } };
  assert.deepEqual(await settingsOf(), [
    {
      scheduler: { value: 'sh', from: 'annotation' },
      flags: { value: 'sh-port', from: 'annotation' },
      ...fromDefault,
    },
    [],
  ]);
  parts.store.replace(
    'services',
    new Map([[big.key, { ...big, annotations: { scheduler: 'a name that is too long', flags: 'fast' } }]]),
  );
  parts.desiredStateUpdater.update();
  await parts.syncLoop[Symbol.asyncDispose]();
  assert.deepEqual(await settingsOf(), [
    {
      scheduler: { value: 'sh', from: 'earlier-annotation' },
      flags: { value: 'sh-port', from: 'earlier-annotation' },
      ...fromDefault,
    },
    ['InvalidScheduler', 'InvalidFlags'],
  ]);
});
