import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServiceAnnotations } from '../../../src/model/settings/service-annotations.js';
import type { ServiceSettings } from '../../../src/model/settings/service-settings.js';
import type { Fragment } from '../../../src/plan/render/fragment.js';
import { render } from '../../../src/plan/render/render.js';
import { renderContext } from '../../../src/plan/render/render-context.js';
import { nodeFacts, ready, service, settings, slice, type ServiceSpec } from '../../support/objects.js';

interface Written {
  readonly fields?: ServiceSpec;
  readonly annotations?: ServiceAnnotations;
  readonly defaults?: ServiceSettings;
  readonly scheduler?: string;
  readonly before?: Fragment;
}

const plain: ServiceSpec = { clusterIP: '10.96.0.1' };
const dual: ServiceSpec = { clusterIPs: ['10.96.0.1', 'fd00:96::1'] };
const both: ServiceSpec = { clusterIP: '10.96.0.1', ports: ['a:80', 'b:53/UDP'] };

const rendered = ({ fields = plain, annotations = {}, defaults, scheduler, before }: Written): Fragment => {
  const context = renderContext(
    nodeFacts(),
    settings({
      ...(defaults === undefined ? {} : { serviceDefaults: defaults }),
      ...(scheduler === undefined ? {} : { scheduler }),
    }),
  );
  const value = { ...service('web', fields), annotations };
  const slices = [slice('web', [ready('10.1.0.1')], { ports: fields.ports ?? [':80'] })];
  return render(value, slices, context, before);
};

/** `TCP rr -x 5`: what the first endpoint's virtual servers have. */
const settingsText = (fragment: Fragment): readonly string[] =>
  Array.from(fragment.virtualServers.values(), ({ server, realServers }) => {
    const [real] = realServers.values();
    const { persistence } = server;
    return [
      server.key.split(':').length > 2 ? 'IPv6' : server.key.split(' ')[0],
      server.scheduler,
      ...server.flags,
      ...(persistence === undefined ? [] : [`${persistence.seconds}s/${persistence.prefixLength}`]),
      ...(real === undefined || real.upperThreshold === 0 ? [] : [`-x ${real.upperThreshold}`]),
      ...(real === undefined || real.lowerThreshold === 0 ? [] : [`-y ${real.lowerThreshold}`]),
    ].join(' ');
  });

const reasons = (fragment: Fragment): readonly string[] => fragment.problems.map(({ reason }) => reason);

const affinity: ServiceSpec = {
  ...plain,
  sessionAffinity: 'ClientIP',
  sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } },
};

const rows: readonly [
  claim: string,
  written: Written,
  settings: readonly string[],
  reasons?: readonly string[],
][] = [
  ['nothing is chosen', {}, ['TCP rr']],
  ['mh hashes the port, as in kube-proxy', { annotations: { scheduler: 'mh' } }, ['TCP mh mh-port']],
  ['an empty list of flags means none', { annotations: { scheduler: 'mh', flags: '' } }, ['TCP mh']],
  [
    'flags of the scheduler',
    { annotations: { scheduler: 'sh', flags: 'sh-port, sh-fallback' } },
    ['TCP sh sh-fallback sh-port'],
  ],
  [
    'a flag without a meaning for the scheduler is left out',
    { annotations: { scheduler: 'sh', flags: 'mh-port,sh-port' } },
    ['TCP sh sh-port'],
    ['IneffectiveFlags'],
  ],
  [
    'one-packet is for UDP only',
    { fields: both, annotations: { flags: 'one-packet' } },
    ['TCP rr', 'UDP rr ops'],
  ],
  [
    'one-packet without a UDP port is left out',
    { annotations: { flags: 'one-packet' } },
    ['TCP rr'],
    ['IneffectiveFlags'],
  ],
  [
    'an unknown flag voids the list',
    { annotations: { scheduler: 'mh', flags: 'mh-fallback,fast' } },
    ['TCP mh mh-port'],
    ['InvalidFlags'],
  ],
  ['persistence', { annotations: { 'persistence-timeout': '30m' } }, ['TCP rr 1800s/32']],
  [
    'persistence by networks of both families',
    { fields: dual, annotations: { 'persistence-timeout': '1m', 'persistence-netmask': '255.255.0.0,/64' } },
    ['TCP rr 60s/16', 'IPv6 rr 60s/64'],
  ],
  [
    'a single length above 32 is for IPv6',
    { fields: dual, annotations: { 'persistence-timeout': '1m', 'persistence-netmask': '/48' } },
    ['TCP rr 60s/32', 'IPv6 rr 60s/48'],
  ],
  [
    'a netmask of a family without ClusterIP',
    { annotations: { 'persistence-timeout': '1m', 'persistence-netmask': '/48' } },
    ['TCP rr 60s/32'],
    ['IneffectivePersistenceNetmask'],
  ],
  [
    'a netmask without persistence',
    { annotations: { 'persistence-netmask': '/24' } },
    ['TCP rr'],
    ['IneffectivePersistenceNetmask'],
  ],
  [
    'a netmask refines sessionAffinity',
    { fields: affinity, annotations: { 'persistence-netmask': '24' } },
    ['TCP rr 600s/24'],
  ],
  [
    'the annotation comes before sessionAffinity',
    { fields: affinity, annotations: { 'persistence-timeout': '5m' } },
    ['TCP rr 300s/32'],
  ],
  [
    '0s turns persistence off',
    { fields: affinity, annotations: { 'persistence-timeout': '0s' } },
    ['TCP rr'],
  ],
  [
    'sessionAffinity comes before the default',
    { fields: affinity, defaults: { persistenceSeconds: 60 } },
    ['TCP rr 600s/32'],
  ],
  ...(['1500ms', '745h', '-1s', 'soon', ''] as const).map((text): (typeof rows)[number] => [
    `a persistence timeout of ${JSON.stringify(text)}`,
    { annotations: { 'persistence-timeout': text } },
    ['TCP rr'],
    ['InvalidPersistenceTimeout'],
  ]),
  ...(['255.0.255.0', '/0', '/129', '/24,/64,/1', '/33,/64', 'x'] as const).map(
    (text): (typeof rows)[number] => [
      `a netmask ${text}`,
      { annotations: { 'persistence-timeout': '1m', 'persistence-netmask': text } },
      ['TCP rr 60s/32'],
      ['InvalidPersistenceNetmask'],
    ],
  ),
  [
    'thresholds',
    { annotations: { 'upper-threshold': '100', 'lower-threshold': '80' } },
    ['TCP rr -x 100 -y 80'],
  ],
  [
    'a lower threshold above the upper one',
    { annotations: { 'upper-threshold': '10', 'lower-threshold': '11' } },
    ['TCP rr -x 10'],
    ['InvalidLowerThreshold'],
  ],
  [
    'a lower threshold alone',
    { annotations: { 'lower-threshold': '11' } },
    ['TCP rr'],
    ['InvalidLowerThreshold'],
  ],
  ...(['2147483648', '-1', '1.5', 'many', ''] as const).map((text): (typeof rows)[number] => [
    `an upper threshold of ${JSON.stringify(text)}`,
    { annotations: { 'upper-threshold': text } },
    ['TCP rr'],
    ['InvalidUpperThreshold'],
  ]),
  [
    'on-full another is the fallback of sh',
    { annotations: { scheduler: 'sh', 'on-full': 'another' } },
    ['TCP sh sh-fallback'],
  ],
  [
    'on-full another keeps the other flags of mh',
    { annotations: { scheduler: 'mh', 'on-full': 'another' } },
    ['TCP mh mh-fallback mh-port'],
  ],
  [
    'on-full refuse takes the fallback of the default away',
    { scheduler: 'sh', defaults: { flags: ['sh-fallback'] }, annotations: { 'on-full': 'refuse' } },
    ['TCP sh'],
  ],
  ['on-full another needs nothing with rr', { annotations: { 'on-full': 'another' } }, ['TCP rr']],
  ['rr cannot refuse', { annotations: { 'on-full': 'refuse' } }, ['TCP rr'], ['IneffectiveOnFull']],
  [
    'dh can only refuse',
    { annotations: { scheduler: 'dh', 'on-full': 'another' } },
    ['TCP dh'],
    ['IneffectiveOnFull'],
  ],
  ['dh refuses', { annotations: { scheduler: 'dh', 'on-full': 'refuse' } }, ['TCP dh']],
  [
    'lblc obeys no threshold',
    { annotations: { scheduler: 'lblc', 'on-full': 'another' } },
    ['TCP lblc'],
    ['IneffectiveOnFull'],
  ],
  [
    'flags and on-full contradict each other',
    { annotations: { scheduler: 'sh', flags: 'sh-fallback', 'on-full': 'refuse' } },
    ['TCP sh sh-fallback'],
    ['IneffectiveOnFull'],
  ],
  ['a wrong on-full', { annotations: { scheduler: 'sh', 'on-full': 'drop' } }, ['TCP sh'], ['InvalidOnFull']],
  [
    'defaults of all Services',
    {
      fields: dual,
      scheduler: 'sh',
      defaults: {
        flags: ['sh-port', 'mh-port', 'one-packet'],
        persistenceSeconds: 60,
        persistencePrefixLengths: { IPv4: 24 },
        upperThreshold: 9,
        lowerThreshold: 5,
      },
    },
    ['TCP sh sh-port 60s/24 -x 9 -y 5', 'IPv6 sh sh-port 60s/128'],
  ],
  [
    'annotations come before the defaults',
    {
      defaults: { flags: ['one-packet'], persistenceSeconds: 60, upperThreshold: 9, lowerThreshold: 5 },
      fields: both,
      annotations: { flags: '', 'persistence-timeout': '0s', 'upper-threshold': '4' },
    },
    ['TCP rr -x 4', 'UDP rr -x 4'],
  ],
  [
    'no limit in spite of the default',
    { defaults: { upperThreshold: 9 }, annotations: { 'upper-threshold': '0' } },
    ['TCP rr'],
  ],
  ['an empty default list of flags is none', { scheduler: 'mh', defaults: { flags: [] } }, ['TCP mh']],
  [
    'on-full by default',
    { scheduler: 'mh', defaults: { onFull: 'another' } },
    ['TCP mh mh-fallback mh-port'],
  ],
  ['a default that the scheduler cannot do is no problem', { defaults: { onFull: 'refuse' } }, ['TCP rr']],
  [
    'flags come before a default on-full',
    { scheduler: 'sh', defaults: { onFull: 'another' }, annotations: { flags: 'sh-port' } },
    ['TCP sh sh-port'],
  ],
];

for (const [claim, written, expected, problems = []] of rows)
  test(`settings of a Service: ${claim}`, () => {
    const fragment = rendered(written);
    assert.deepEqual(settingsText(fragment), expected);
    assert.deepEqual(reasons(fragment), problems);
  });

const wrong: ServiceAnnotations = {
  scheduler: 'round robin',
  flags: 'fast',
  'persistence-timeout': 'long',
  'persistence-netmask': 'wide',
  'upper-threshold': 'many',
  'lower-threshold': 'few',
  'on-full': 'drop',
  'drain-deadline': 'soon',
  'take-over-foreign': 'perhaps',
};
const right: ServiceAnnotations = {
  scheduler: 'sh',
  flags: 'sh-port',
  'persistence-timeout': '30m',
  'persistence-netmask': '/24',
  'upper-threshold': '10',
  'lower-threshold': '7',
  'on-full': 'another',
  'drain-deadline': '7s',
  'take-over-foreign': 'true',
};

test('the last valid value of every annotation stays in force, however often it is rendered', () => {
  const first = rendered({ annotations: right });
  assert.deepEqual(settingsText(first), ['TCP sh sh-fallback sh-port 1800s/24 -x 10 -y 7']);
  assert.deepEqual(reasons(first), []);
  const second = rendered({ annotations: wrong, before: first });
  const third = rendered({ annotations: wrong, before: second, defaults: { upperThreshold: 3 } });
  for (const fragment of [second, third]) {
    assert.deepEqual(settingsText(fragment), settingsText(first));
    assert.deepEqual(
      Array.from(fragment.virtualServers.values(), ({ drainMilliseconds }) => drainMilliseconds),
      [7000],
    );
    assert.equal(fragment.adoptForeign, true);
    assert.equal(fragment.problems.length, Object.keys(wrong).length);
    for (const { message } of fragment.problems)
      assert.match(message, /the last valid value, ".+", stays in force$/);
    assert.deepEqual(fragment.validAnnotations, right);
  }
  assert.deepEqual(settingsText(rendered({ annotations: wrong })), ['TCP rr'], 'a restart knows none');
});

test('removing an annotation removes its last valid value too', () => {
  const first = rendered({ annotations: { 'upper-threshold': '10' } });
  const removed = rendered({ before: first });
  const again = rendered({ annotations: { 'upper-threshold': 'x' }, before: removed });
  assert.deepEqual([removed, again].map(settingsText), [['TCP rr'], ['TCP rr']]);
});

test('a Service that was created anew has no last valid value', () => {
  const first = rendered({ annotations: right });
  const anew = { ...plain, createdAt: '2025-01-01T00:00:00Z' };
  assert.deepEqual(settingsText(rendered({ fields: anew, annotations: wrong, before: first })), ['TCP rr']);
});

test('a last valid value that no longer fits is not used', () => {
  const first = rendered({ annotations: { 'upper-threshold': '10', 'lower-threshold': '8' } });
  const second = rendered({ annotations: { 'upper-threshold': '5', 'lower-threshold': '9' }, before: first });
  assert.deepEqual(settingsText(second), ['TCP rr -x 5']);
  assert.match(
    second.problems[0]?.message ?? '',
    /at most upper-threshold, which is 5\); the default is used instead/,
  );
});

test('annotations of kube-ipvs that a Service does not have are reported, up to three', () => {
  const context = renderContext(nodeFacts(), settings({}));
  const problemsOf = (...names: readonly string[]): readonly string[] => {
    const annotations = Object.fromEntries(names.map((name) => [`ipvs.kube-ipvs.dev/${name}`, 'x']));
    const { problems } = render(service('web', { ...plain, annotations }), [], context);
    return problems.flatMap(({ reason, message }) => (reason === 'UnknownAnnotation' ? [message] : []));
  };
  const [message = ''] = problemsOf('persistance-timeout');
  assert.match(
    message,
    /^default\/web: metadata\.annotations\[ipvs\.kube-ipvs\.dev\/persistance-timeout\]: is unknown and has no effect \(known: scheduler, /,
  );
  assert.match(problemsOf('weight')[0] ?? '', /annotate its pods, and the Service with weight-by: pod$/);
  assert.deepEqual(problemsOf('scheduler'), []);
  assert.equal(problemsOf('a', 'b', 'c', 'd').length, 3);
});
