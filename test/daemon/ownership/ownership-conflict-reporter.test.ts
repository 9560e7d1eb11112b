import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../../src/base/log.js';
import { OwnershipConflictReporter } from '../../../src/daemon/ownership/ownership-conflict-reporter.js';
import type { RecordedEvent } from '../../../src/daemon/events/event-recorder.js';
import { serviceKey } from '../../../src/model/service.js';
import { virtualServerKey } from '../../../src/model/virtual-server.js';
import type { OwnershipConflict } from '../../../src/plan/ownership/foreign-virtual-servers.js';
import { foreignVirtualServerReporter } from '../../../src/daemon/ownership/foreign-virtual-server-reporter.js';
import { RecordingLog } from '../../support/recording-log.js';
import { at } from '../../support/virtual-server-entries.js';

test('a virtual server of somebody else is told once to the Service, and once when it is over', () => {
  const identity = at('TCP', '10.96.0.1', 80);
  const now: OwnershipConflict[] = [
    { key: virtualServerKey(identity), identity, service: serviceKey('default', 'web') },
  ];
  const told: string[] = [];
  const events: RecordedEvent[] = [];
  const reporter = new OwnershipConflictReporter({
    foreignVirtualServers: { conflicts: () => now },
    uidOf: (service) => `uid of ${service}`,
    events: { record: (event) => void events.push(event) },
    log: {
      ...silentLogger,
      warn: (fields, message) => void told.push(`${message} ${JSON.stringify(Object.keys(fields))}`),
      info: (fields, message) => void told.push(`${message} ${JSON.stringify(fields)}`),
    },
  });
  reporter.report();
  reporter.report();
  assert.deepEqual(told, ['a part of a Service is not served as it asks ["service","reason","problem"]']);
  assert.deepEqual(events, [
    {
      regarding: { kind: 'Service', namespace: 'default', name: 'web', uid: 'uid of default/web' },
      type: 'Warning',
      reason: 'ForeignVirtualServer',
      action: 'ProgramService',
      note:
        'TCP 10.96.0.1:80 is in the kernel and was not made by kube-ipvs: it is left alone, and default/web is not served there. ' +
        'Delete it on the node (ipvsadm -D -t 10.96.0.1:80), or let kube-ipvs have it: ' +
        'annotate the Service with ipvs.kube-ipvs.dev/take-over-foreign: "true"',
    },
  ]);
  assert.deepEqual([...reporter.problemEvents()], events);
  now.pop();
  reporter.report();
  reporter.report();
  assert.deepEqual(told.slice(1), [
    'no virtual server of somebody else is in the way any more {"service":"default/web","virtualServer":"TCP 10.96.0.1:80"}',
  ]);
});

test('of many virtual servers of others at once the first are told of, each once for as long as it is there', () => {
  const log = new RecordingLog();
  const others = new Set(
    Array.from({ length: 1_000 }, (_, port) => virtualServerKey(at('TCP', '192.0.2.1', port + 1))),
  );
  const look = foreignVirtualServerReporter({ keys: () => others, conflictAt: () => undefined }, log);
  look();
  look();
  const told = (): readonly object[] => log.at('info').map(({ fields }) => fields);
  assert.equal(told().length, 11);
  assert.deepEqual(told().at(-1), { more: 990 });
  const [first] = others;
  assert.ok(first !== undefined);
  others.delete(first);
  look();
  others.add(first);
  look();
  assert.deepEqual(told().slice(11), [{ virtualServer: first }]);
});
