import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnershipConflictReporter } from '../../../src/daemon/ownership/ownership-conflict-reporter.js';
import type { RecordedEvent } from '../../../src/daemon/events/event-recorder.js';
import { serviceKey } from '../../../src/model/service.js';
import { virtualServerKey } from '../../../src/model/virtual-server.js';
import type { OwnershipConflict } from '../../../src/plan/ownership/foreign-virtual-servers.js';
import { ForeignVirtualServerReporter } from '../../../src/daemon/ownership/foreign-virtual-server-reporter.js';
import { ownershipChanges } from '../../../src/daemon/ownership/ownership-changes.js';
import { RecordingLog } from '../../support/recording-log.js';
import { at } from '../../support/virtual-server-entries.js';

test('a virtual server of somebody else is told once to the Service, and once when it is over', () => {
  const identity = at('TCP', '10.96.0.1', 80);
  const now: OwnershipConflict[] = [
    { key: virtualServerKey(identity), identity, service: serviceKey('default', 'web') },
  ];
  const log = new RecordingLog();
  const events: RecordedEvent[] = [];
  const reporter = new OwnershipConflictReporter({
    foreignVirtualServers: {
      conflicts: () => now,
      conflictAt: (key) => now.find((conflict) => conflict.key === key),
    },
    uidOf: (service) => `uid of ${service}`,
    events: { record: (event) => void events.push(event) },
    log,
  });
  reporter.report({ keys: new Set([virtualServerKey(identity)]) });
  reporter.report({ keys: new Set([virtualServerKey(identity)]) });
  assert.deepEqual(
    log.of('service-problem').map(({ fields }) => Object.keys(fields)),
    [['event', 'service', 'reason', 'problem']],
  );
  assert.deepEqual(events, [
    {
      regarding: { kind: 'Service', namespace: 'default', name: 'web', uid: 'uid of default/web' },
      type: 'Warning',
      reason: 'ForeignVirtualServer',
      action: 'ProgramService',
      note:
        'TCP 10.96.0.1:80 is in the kernel but was not created by kube-ipvs. It is not changed, and default/web is not served there. ' +
        'Delete it on the node (ipvsadm -D -t 10.96.0.1:80), or let kube-ipvs take it over: ' +
        'annotate the Service with ipvs.kube-ipvs.dev/take-over-foreign: "true"',
    },
  ]);
  assert.deepEqual([...reporter.problemEvents()], events);
  now.pop();
  reporter.report({ keys: new Set([virtualServerKey(identity)]) });
  reporter.report({ keys: new Set([virtualServerKey(identity)]) });
  assert.deepEqual(
    log.at('info').map(({ fields }) => fields),
    [
      {
        event: 'ownership-conflict-resolved',
        service: 'default/web',
        virtualServer: 'TCP 10.96.0.1:80',
      },
    ],
  );
});

test('of many virtual servers of others at once the first are told of, each once for as long as it is there', () => {
  const log = new RecordingLog();
  const others = new Set(
    Array.from({ length: 1_000 }, (_, port) => virtualServerKey(at('TCP', '192.0.2.1', port + 1))),
  );
  const changes = ownershipChanges(() => others);
  const reporter = new ForeignVirtualServerReporter({ conflictAt: () => undefined }, log);
  const look = (): void => reporter.report(changes());
  look();
  look();
  const told = (): readonly object[] => log.at('info').map(({ fields }) => fields);
  assert.equal(told().length, 11);
  assert.deepEqual(told().at(-1), { event: 'foreign-virtual-server-found', more: 990 });
  const [first] = others;
  assert.ok(first !== undefined);
  others.delete(first);
  look();
  others.add(first);
  look();
  assert.deepEqual(told().slice(11), [{ event: 'foreign-virtual-server-found', virtualServer: first }]);
});
