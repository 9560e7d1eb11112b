import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemEvent } from '../../../src/daemon/events/problem-events.js';
import { render } from '../../../src/plan/render/render.js';
import { renderContext } from '../../../src/plan/render/render-context.js';
import { toService } from '../../../src/watch/objects/parse-objects.js';
import { nodeFacts, settings } from '../../support/objects.js';

const context = renderContext(nodeFacts(), settings());

interface Written {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ports?: readonly object[];
}

/** The reasons of the Events about a Service as an API server or a manifest has it. */
const eventReasons = ({ annotations = {}, ports = [{ port: 80 }] }: Written) => {
  const { value } = toService({
    metadata: { namespace: 'shop', name: 'web', annotations },
    spec: {
      clusterIP: '10.96.0.1',
      ports,
    },
  });
  assert.ok(value);
  const { problems, virtualServers } = render(value, [], context);
  return {
    reasons: problems.map((problem) => problemEvent(problem, undefined).reason),
    schedulers: Array.from(virtualServers.values(), ({ server }) => server.scheduler),
  };
};

const rows: readonly [claim: string, written: Written, reasons: readonly string[]][] = [
  ['a Service without a mistake', {}, []],
  [
    'a scheduler name with a blank',
    { annotations: { 'ipvs.kube-ipvs.dev/scheduler': 'round robin' } },
    ['InvalidScheduler'],
  ],
  [
    'a scheduler name that starts with a digit',
    { annotations: { 'ipvs.kube-ipvs.dev/scheduler': '2rr' } },
    ['InvalidScheduler'],
  ],
  ['an empty scheduler name', { annotations: { 'ipvs.kube-ipvs.dev/scheduler': '' } }, ['InvalidScheduler']],
  [
    'a scheduler name that is too long for the kernel',
    { annotations: { 'ipvs.kube-ipvs.dev/scheduler': 'a'.repeat(16) } },
    ['InvalidScheduler'],
  ],
  [
    'a drain deadline that is no duration',
    { annotations: { 'ipvs.kube-ipvs.dev/drain-deadline': 'soon' } },
    ['InvalidDrainDeadline'],
  ],
  [
    'two ports with one name and protocol',
    {
      ports: [
        { name: 'a', port: 80 },
        { name: 'a', port: 81 },
      ],
    },
    ['DuplicatePort'],
  ],
];

for (const [claim, written, reasons] of rows)
  test(`Events about a Service from the API: ${claim}`, () => {
    const found = eventReasons(written);
    assert.deepEqual(found.reasons, reasons);
    assert.deepEqual(found.schedulers, ['rr']);
  });

test('the note of an Event quotes only the beginning of a long annotation', () => {
  const { value } = toService({
    metadata: { name: 'web', annotations: { 'ipvs.kube-ipvs.dev/scheduler': 'x'.repeat(100_000) } },
    spec: { clusterIP: '10.96.0.1', ports: [{ port: 80 }] },
  });
  assert.ok(value);
  const [problem] = render(value, [], context).problems;
  assert.ok(problem);
  assert.ok(problem.message.length < 500, problem.message.slice(0, 500));
});
