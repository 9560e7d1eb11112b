import assert from 'node:assert/strict';
import { test } from 'node:test';
import { annotationKey } from '../../../src/model/settings/service-annotations.js';
import { desiredState } from '../../support/desired-kernel.js';
import { nodeFacts, ready, service, settings, slice } from '../../support/objects.js';
import type { Fragment } from '../../../src/plan/render/fragment.js';
import { renderContext, type RenderSettings } from '../../../src/plan/render/render-context.js';
import { render } from '../../../src/plan/render/render.js';

const rendered = (
  annotations: Readonly<Record<string, string>>,
  changes: Partial<RenderSettings> = {},
): { readonly text: string; readonly problems: readonly string[] } => {
  const named = Object.fromEntries(
    Object.entries(annotations).map(([name, value]) => [annotationKey(name), value]),
  );
  const web = service('web', { clusterIP: '10.96.0.1', annotations: named });
  const objects = { services: [web], slices: [slice('web', [ready('10.1.0.1')])] };
  const desired = desiredState(objects, nodeFacts(), settings(changes));
  const [entry] = desired.virtualServers();
  const weights = [...(entry?.realServers.values() ?? [])].map(({ weight }) => weight);
  const problems = desired.fragment(web.key)?.problems.map(({ reason }) => reason) ?? [];
  return {
    text: [entry?.server.scheduler, ...weights, ...(entry?.server.flags ?? [])].join(' '),
    problems,
  };
};

test('slow start: a weighted scheduler, and ten times the weight', () => {
  const schedulers = 'rr wrr lc wlc sed nq lblc lblcr twos sh mh dh fo ovf own'.split(' ');
  assert.deepEqual(
    schedulers.map((scheduler) => rendered({ scheduler, 'slow-start': '30s' }).text),
    [
      'wrr 10',
      'wrr 10',
      'wlc 10',
      'wlc 10',
      'sed 10',
      'nq 10',
      'lblc 10',
      'lblcr 10',
      'twos 10',
      'sh 1',
      'mh 1 mh-port',
      'dh 1',
      'fo 1',
      'ovf 1',
      'own 1',
    ],
  );
});

test('a default for all Services changes nothing where it cannot be, and reports nothing', () => {
  const pace = { slowStartMilliseconds: 30_000, quarantineMilliseconds: 30_000 };
  assert.deepEqual(rendered({}, { pace }), { text: 'wrr 10', problems: [] });
  assert.deepEqual(rendered({ scheduler: 'dh' }, { pace }), { text: 'dh 1', problems: [] });
  assert.deepEqual(rendered({ 'slow-start': '0s' }, { pace }), { text: 'rr 1', problems: [] });
  assert.deepEqual(rendered({ 'slow-start': '0s', scheduler: 'sh' }, { pace }), {
    text: 'sh 1 sh-fallback',
    problems: [],
  });
  assert.deepEqual(rendered({ 'slow-start': 'soon' }, { pace }), {
    text: 'wrr 10',
    problems: ['InvalidSlowStart'],
  });
});

test('the last valid value of a wrong annotation stays in force', () => {
  const fragment = (value: string, before?: Fragment): Fragment =>
    render(
      { ...service('web', { clusterIP: '10.96.0.1' }), annotations: { 'slow-start': value } },
      [slice('web', [ready('10.1.0.1')])],
      renderContext(nodeFacts(), settings()),
      before,
    );
  const wrong = fragment('soon', fragment('20s'));
  const [entry] = wrong.virtualServers.values();
  assert.deepEqual(entry?.pace, { slowStartMilliseconds: 20_000, quarantineMilliseconds: 0 });
  assert.deepEqual(
    wrong.problems.map(({ reason }) => reason),
    ['InvalidSlowStart'],
  );
});

test('without a setting nothing is different', () => {
  assert.deepEqual(rendered({}), { text: 'rr 1', problems: [] });
  assert.deepEqual(rendered({ quarantine: '0s', 'slow-start': '0s' }), { text: 'rr 1', problems: [] });
});
