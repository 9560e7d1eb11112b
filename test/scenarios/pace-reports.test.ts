// What the daemon tells of weights that change over time: over the fake kernel, in virtual time.
import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { LogRecord } from '../../src/admin-api/log-response.js';
import type { ServiceReportResponse } from '../../src/admin-api/responses.js';
import { serviceReport } from '../../src/daemon/admin/service-report.js';
import { describeVirtualServers } from '../../src/daemon/admin/start-admin.js';
import { ChangeableSettings } from '../../src/daemon/config/live-settings.js';
import type { RecordedEvent } from '../../src/daemon/events/event-recorder.js';
import { daemonSamples } from '../../src/daemon/metrics/daemon-samples.js';
import { serviceKey } from '../../src/model/service.js';
import { virtualServerKey } from '../../src/model/virtual-server.js';
import { PacedNode, pod } from '../support/paced-node.js';
import { responseProblems } from '../support/response-shapes.js';
import { RecordingLog } from '../support/recording-log.js';
import { at } from '../support/virtual-server-entries.js';

const key = virtualServerKey(at('TCP', '10.96.0.1', 80));
const name = (last: number): string => `${pod(last)}:80`;

const descriptionsOf = ({ node }: PacedNode) =>
  describeVirtualServers(node.composition, new ChangeableSettings(node.settings));

const reportOf = async (web: PacedNode): Promise<ServiceReportResponse> => {
  const parts = {
    ...web.node.composition,
    descriptions: descriptionsOf(web),
    events: { of: () => [] },
    serviceDefaults: () => ({}),
  };
  const { body } = serviceReport(serviceKey('default', 'web'), parts) ?? {};
  assert.ok(body instanceof Readable);
  return JSON.parse(await text(body)) as ServiceReportResponse;
};

/** Two endpoints that answer each of their connections, and a third one that does not. */
const withSilentThird = async (web: PacedNode): Promise<void> => {
  for (let count = 1n; count <= 12n; count += 1n) {
    for (const last of [1, 2, 3])
      web.node.kernel.ipvs.counters.set(`${key} → ${name(last)}`, {
        connections: count,
        inPackets: 4n * count,
        outPackets: last === 3 ? 0n : 3n * count,
      });
    await web.node.advance(1_000);
  }
};

const sampleOf = ({ node }: PacedNode, metric: string): number | undefined =>
  [...daemonSamples({ ...node.composition, desired: node.composition.desiredStateUpdater.desired })].find(
    (sample) => sample.metric === metric,
  )?.value;

/** The causes of the changes of a real server, and the weights that they set. */
const changesOf = ({ node }: PacedNode, realServer: string): readonly string[] =>
  [...node.composition.changeLog.read({ after: 0, since: 0, service: undefined }).records]
    .map((record) => JSON.parse(record) as LogRecord)
    .filter((record) => record.event === 'changed' && record.key === realServer)
    .map(({ cause, wanted }) => `${cause} ${wanted?.['weight']}`);

test('a real server that climbs: its share, its time, and the weight of this time', async () => {
  await using web = await PacedNode.start({ 'slow-start': '30s' }, [1, 2]);
  await web.setPods([1, 2, 3]);
  await web.node.advance(12_000);
  assert.deepEqual(descriptionsOf(web).of(key)?.realServers[name(3)], {
    node: 'n2',
    state: 'ready',
    pace: { kind: 'climbing', percent: 40, seconds: 12, secondsLeft: 18 },
  });
  assert.equal(descriptionsOf(web).of(key)?.realServers[name(1)]?.pace, undefined);
  assert.equal(sampleOf(web, 'climbing'), 1);
  const report = await reportOf(web);
  assert.deepEqual(responseProblems('ServiceReportResponse', report), []);
  const [served] = report.virtualServers;
  assert.equal(served?.wanted?.realServers[name(3)]?.weight, 4);
  assert.deepEqual(served?.wanted, served?.kernel);
  assert.deepEqual(report.service.settings?.['slow-start'], { value: '30s', from: 'annotation' });
  assert.deepEqual(changesOf(web, name(3)), ['endpoints-changed 1', 'pace 2', 'pace 3', 'pace 4']);
});

test('a quarantine is an Event of the Service, a log line when it begins and ends, and counted', async () => {
  const events: RecordedEvent[] = [];
  const log = new RecordingLog();
  await using web = await PacedNode.start({ quarantine: '30s' }, [1, 2, 3], {
    events: { record: (event) => events.push(event) },
    log,
  });
  await withSilentThird(web);
  assert.deepEqual(
    events.filter(({ reason }) => reason === 'EndpointQuarantined'),
    [
      {
        regarding: { kind: 'Service', namespace: 'default', name: 'web', uid: undefined },
        type: 'Warning',
        reason: 'EndpointQuarantined',
        action: 'ProgramService',
        note: 'default/web: 10.1.0.3:80 got connections to TCP 10.96.0.1:80 and did not answer, while other endpoints did; it gets no new connections for 30s',
      },
    ],
  );
  assert.equal(descriptionsOf(web).of(key)?.realServers[name(3)]?.pace?.kind, 'quarantined');
  assert.deepEqual([sampleOf(web, 'quarantined'), sampleOf(web, 'quarantines')], [1, 1]);
  await web.node.advance(30_000);
  assert.deepEqual([sampleOf(web, 'quarantined'), sampleOf(web, 'quarantines')], [0, 1]);
  const names = log.lines.map(({ fields }) => String(fields['event']));
  assert.deepEqual(
    names.filter((event) => event.includes('quarantine')),
    ['real-server-quarantined', 'quarantine-ended'],
  );
  // No line for each step.
  assert.ok(!log.lines.some(({ level, fields }) => level !== 'debug' && fields['event'] === 'paced'));
});
