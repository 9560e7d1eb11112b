import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  serviceEndpoint,
  type ReportFacts,
  type ServedVirtualServer,
} from '../../../../src/cli/explain/facts.js';
import { advise } from '../../../../src/doctor/remedy.js';
import type { Trace, TraceStep } from '../../../../src/cli/explain/trace-packet.js';
import { reportChecks, buildServiceReport } from '../../../../src/cli/explain/service-report.js';
import type { ServiceReportResponse } from '../../../../src/admin-api/responses.js';
import { virtualServerJson } from '../../../../src/plan/output/ipvs-table-formats.js';
import {
  endpoint,
  goodKernel,
  goodServed,
  goodService,
  goodStory,
  goodTable,
  rulesWith,
} from '../../../support/explain-facts.js';
import { status } from '../../../support/doctor-facts.js';
import { ip } from '../../../support/objects.js';
import { real, entry, virtual } from '../../../support/observed-entries.js';

const withService = (changes: Partial<ServiceReportResponse>): Partial<ReportFacts> => {
  const service = { ...goodService, ...changes };
  return { service, endpoints: service.endpoints.map(serviceEndpoint) };
};
const withServed = (changes: Partial<ServedVirtualServer>): Partial<ReportFacts> => ({
  served: [{ ...goodServed, ...changes }],
});
const withTables = (...virtualServers: readonly ReturnType<typeof entry>[]): Partial<ReportFacts> => ({
  kernel: {
    value: { ...goodKernel, virtualServers: new Map(virtualServers.map((each) => [each.server.key, each])) },
  },
});

const notReady = { used: false, reason: 'not-ready' } as const;
const elsewhere = { used: false, reason: 'on-another-node' } as const;
const out = { ready: false, serving: false, cluster: notReady, local: notReady };
const web1 = endpoint('10.244.1.1:8080', 'web-1', 'node-1');
const web2 = endpoint('10.244.2.1:8080', 'web-2', 'node-2');
const foreignTable = entry(virtual('TCP', '10.96.0.1', 80, { scheduler: 'wlc' }), real('192.0.2.7', 80, 0));

const fullServer = real('10.244.1.1', 8080, 3, { upperThreshold: 3 });

const sticky = (prefixLength: number) =>
  virtual('TCP', '10.96.0.1', 80, { persistence: { seconds: 60, prefixLength } });

interface CheckCase {
  readonly what: string;
  /** `MARK CHECK`. */
  readonly line: string;
  /** Names, numbers and reasons in the text. */
  readonly shows?: readonly string[];
  /** Of the remedies; absent: none. */
  readonly commands?: readonly string[];
  readonly wrong: Partial<ReportFacts>;
}

const conflicts = ['kube-ipvs doctor --only conflicts'];

const cases: readonly CheckCase[] = [
  {
    what: 'no Service requests the address',
    line: 'note unasked',
    shows: ['shop/web'],
    wrong: { service: undefined, served: [] },
  },
  {
    what: 'no daemon runs',
    line: 'warn unasked',
    shows: ['ENOENT'],
    commands: ['systemctl start kube-ipvs'],
    wrong: {
      service: undefined,
      served: [],
      status: { unavailable: 'ENOENT', remedies: [advise('Start it.', 'systemctl start kube-ipvs')] },
    },
  },
  {
    what: 'nothing is served',
    line: 'fail unserved',
    shows: ['shop/web'],
    commands: ['kubectl -n shop get service web -o yaml'],
    wrong: { ...withService({ virtualServers: [] }), served: [] },
  },
  {
    what: 'an older Service has the address',
    line: 'fail taken',
    shows: ['TCP 10.96.0.1:80'],
    commands: ["kube-ipvs explain 'TCP 10.96.0.1:80'"],
    wrong: { served: [{ ...goodServed, wanted: undefined } as unknown as ServedVirtualServer] },
  },
  {
    what: 'a part cannot be served',
    line: 'warn problems',
    shows: ['AddressReserved: 192.0.2.1 is a gateway'],
    commands: ['kubectl -n shop describe service web'],
    wrong: withService({ problems: [{ reason: 'AddressReserved', message: '192.0.2.1 is a gateway' }] }),
  },
  {
    what: 'the target pod is not ready',
    line: 'fail pod',
    shows: ['10.244.2.1:8080', 'not ready'],
    commands: ['kubectl -n shop describe pod web-2'],
    wrong: { ...withService({ endpoints: [web1, { ...web2, ...out }] }), pod: 'shop/web-2' },
  },
  {
    what: 'the target pod is quarantined',
    line: 'warn pod',
    shows: ['10.244.2.1:8080', 'no new connections'],
    commands: ['kubectl -n shop describe pod web-2'],
    wrong: {
      ...withService({ endpoints: [web1, web2] }),
      ...withServed({
        realServers: {
          '10.244.2.1:8080': {
            state: 'ready',
            pace: { kind: 'quarantined', percent: 0, seconds: 1, secondsLeft: 2 },
          },
        },
      }),
      pod: 'shop/web-2',
    },
  },
  {
    what: 'no endpoint is ready',
    line: 'fail endpoints',
    shows: ['http/TCP', 'none of 2'],
    commands: ['kubectl -n shop describe pod web-1'],
    wrong: withService({
      endpoints: [
        { ...web1, ...out },
        { ...web2, ...out },
      ],
    }),
  },
  {
    what: 'every endpoint has weight 0',
    line: 'fail endpoints',
    shows: ['http/TCP', 'weight above 0', 'refused'],
    wrong: withService({
      endpoints: [web1, web2].map((each) => ({
        ...each,
        weight: 0,
        weightReason: 'pod-annotation' as const,
      })),
    }),
  },
  {
    what: 'there is no endpoint at all',
    line: 'fail endpoints',
    shows: ['http/TCP', 'no EndpointSlice'],
    commands: ['kubectl -n shop get endpointslices -l kubernetes.io/service-name=web'],
    wrong: withService({ endpoints: [], slices: [] }),
  },
  {
    what: 'only terminating endpoints are left',
    line: 'warn endpoints',
    shows: ['last resort'],
    commands: ['kubectl -n shop describe pod web-1'],
    wrong: withService({
      endpoints: [
        { ...web1, ready: false, terminating: true, cluster: { used: true, reason: 'last-resort' } },
      ],
    }),
  },
  {
    what: 'internalTrafficPolicy Local, and no endpoint on this node',
    line: 'warn endpoints',
    shows: ['no endpoint is on this node', 'internalTrafficPolicy Local'],
    wrong: {
      ...withService({ endpoints: [{ ...web2, local: elsewhere }] }),
      ...withServed({ policy: 'Local' }),
    },
  },
  {
    what: 'internalTrafficPolicy Local, and no ready endpoint on this node',
    line: 'warn endpoints',
    shows: ['no endpoint on this node is ready', 'internalTrafficPolicy Local'],
    wrong: {
      ...withService({
        endpoints: [
          { ...web1, ...out },
          { ...web2, local: elsewhere },
        ],
      }),
      ...withServed({ policy: 'Local' }),
    },
  },
  {
    what: 'a real server drains',
    line: 'note draining',
    shows: ['1 real server'],
    wrong: withServed({
      realServers: {
        '10.244.1.9:8080': {
          pod: 'shop/web-9',
          state: 'draining',
          drain: { seconds: 42, secondsLeft: 100, reason: 'gone' },
        },
      },
    }),
  },
  {
    what: 'a real server climbs',
    line: 'note pace',
    shows: ['1 real server is climbing'],
    wrong: withServed({
      realServers: {
        '10.244.1.1:8080': {
          state: 'ready',
          pace: { kind: 'climbing', percent: 40, seconds: 12, secondsLeft: 18 },
        },
      },
    }),
  },
  {
    what: 'a real server is quarantined',
    line: 'note pace',
    shows: ['1 real server is quarantined'],
    wrong: withServed({
      realServers: {
        '10.244.1.1:8080': {
          state: 'ready',
          pace: { kind: 'quarantined', percent: 0, seconds: 12, secondsLeft: 18 },
        },
      },
    }),
  },
  {
    what: 'the kernel cannot be read',
    line: 'warn access',
    shows: ['EPERM'],
    commands: ['sudo kube-ipvs explain'],
    wrong: { kernel: { unavailable: 'EPERM', remedies: [advise('Run as root.', 'sudo kube-ipvs explain')] } },
  },
  {
    what: 'the virtual server is missing',
    line: 'fail virtual-servers',
    shows: ['TCP 10.96.0.1:80 (ClusterIP)'],
    commands: conflicts,
    wrong: withTables(),
  },
  {
    what: 'the kernel refused the virtual server',
    line: 'fail virtual-servers',
    shows: ['TCP 10.96.0.1:80', 'ENOENT'],
    commands: ['kube-ipvs doctor'],
    wrong: {
      ...withTables(),
      ...withService({ refused: [{ what: 'TCP 10.96.0.1:80', reason: 'ENOENT', seconds: 3 }] }),
    },
  },
  {
    what: 'another program created it',
    line: 'fail virtual-servers',
    shows: ['another program', 'TCP 10.96.0.1:80', 'wlc, 1 real server'],
    commands: [
      'ipvsadm -D -t 10.96.0.1:80',
      'kubectl -n shop annotate service web ipvs.kube-ipvs.dev/take-over-foreign=true',
    ],
    wrong: { ...withServed({ contested: true }), ...withTables(foreignTable) },
  },
  {
    what: 'a real server has another weight',
    line: 'fail virtual-servers',
    shows: ['2 differences'],
    commands: conflicts,
    wrong: withTables(entry(goodTable.server, real('10.244.1.1', 8080, 3, { weight: 0 }))),
  },
  {
    what: 'a real server is full',
    line: 'warn limits',
    shows: ['1 of 1', 'TCP 10.96.0.1:80'],
    commands: ['kubectl -n shop annotate service web --overwrite ipvs.kube-ipvs.dev/upper-threshold=0'],
    wrong: {
      ...withServed({ wanted: virtualServerJson(entry(goodTable.server, fullServer)) }),
      ...withTables(entry(goodTable.server, fullServer)),
    },
  },
  {
    what: 'the scheduler is another',
    line: 'fail virtual-servers',
    shows: ['1 difference'],
    commands: conflicts,
    wrong: withTables(
      entry(virtual('TCP', '10.96.0.1', 80, { scheduler: 'sh' }), ...goodTable.realServers.values()),
    ),
  },
  {
    what: 'persistence is by network',
    line: 'fail virtual-servers',
    shows: ['1 difference'],
    commands: conflicts,
    wrong: {
      ...withServed({
        wanted: virtualServerJson(entry(sticky(32), ...goodTable.realServers.values())),
      }),
      ...withTables(entry(sticky(24), ...goodTable.realServers.values())),
    },
  },
  {
    what: 'the Service has no such port',
    line: 'fail unserved',
    shows: ['shop/web:htpp'],
    commands: ['kube-ipvs explain shop/web'],
    wrong: { target: 'shop/web:htpp', served: [] },
  },
  {
    what: 'packet rules of a family are not in force',
    line: 'fail health',
    shows: ['IPv6', 'EBUSY'],
    commands: ['kube-ipvs doctor'],
    wrong: {
      status: status({
        healthy: false,
        packetRules: { IPv4: { inForce: true }, IPv6: { inForce: false, trouble: 'EBUSY' } },
      }),
    },
  },
  {
    what: 'a virtual server is orphaned',
    line: 'note lingering',
    shows: ['1 orphaned virtual server'],
    wrong: withService({
      lingering: { 'TCP 10.96.0.1:81': { lingering: { seconds: 1, secondsLeft: 60 }, realServers: {} } },
    }),
  },
  {
    what: 'the address is not on kube-ipvs0',
    line: 'fail addresses',
    shows: ['10.96.0.1', 'kube-ipvs0'],
    commands: conflicts,
    wrong: { kernel: { value: { ...goodKernel, vips: new Map() } } },
  },
  {
    what: 'the packet rules are not in force',
    line: 'fail in-force',
    shows: ['IPv4', 'EBUSY'],
    commands: ['kube-ipvs doctor --only packet-rules'],
    wrong: { status: status({ packetRules: { IPv4: { inForce: false, trouble: 'EBUSY' } } }) },
  },
  {
    what: 'the table is gone',
    line: 'fail in-force',
    shows: ['table ip kube-ipvs'],
    commands: conflicts,
    wrong: { kernel: { value: { ...goodKernel, rules: {} } } },
  },
  {
    what: 'an element is missing',
    line: 'fail elements',
    shows: ['1 of 2'],
    commands: conflicts,
    wrong: { kernel: { value: { ...goodKernel, rules: { IPv4: rulesWith('vips 10.96.0.1') } } } },
  },
  {
    what: 'a setting is wrong',
    line: 'fail settings',
    shows: ['ipv4-forwarding', 'net.ipv4.ip_forward is 0'],
    commands: ['sysctl -w net.ipv4.ip_forward=1'],
    wrong: {
      node: goodStory.node.map((outcome) =>
        outcome.id === 'ipv4-forwarding'
          ? {
              ...outcome,
              result: 'fail',
              seen: 'net.ipv4.ip_forward is 0',
              remedies: [advise('Set it.', 'sysctl -w net.ipv4.ip_forward=1')],
            }
          : outcome,
      ),
    },
  },
  {
    what: 'the source has an error',
    line: 'warn health',
    shows: ['api', 'connection refused'],
    commands: ['kube-ipvs doctor --only kubernetes'],
    wrong: {
      status: status({ source: { name: 'api', delivered: true, trouble: 'connection refused' } }),
    },
  },
  {
    what: 'nothing was delivered yet',
    line: 'fail health',
    shows: ['api'],
    commands: ['kube-ipvs doctor --only kubernetes'],
    wrong: { status: status({ source: { name: 'api', delivered: false } }) },
  },
  {
    what: 'a sync is outstanding',
    line: 'fail health',
    shows: ['not healthy'],
    commands: ['kube-ipvs doctor'],
    wrong: { status: status({ healthy: false }) },
  },
  {
    what: 'the kernel refused something of it',
    line: 'fail refused',
    shows: ['10.96.0.1', 'EINVAL'],
    wrong: withService({
      refused: [{ what: '10.96.0.1', reason: 'EINVAL', seconds: 9, nextTrySeconds: 2.5 }],
    }),
  },
  {
    what: 'there were events',
    line: 'note events',
    shows: ['2026-01-01T00:00:00.000Z Warning X: y'],
    wrong: withService({
      events: [{ at: '2026-01-01T00:00:00.000Z', type: 'Warning', reason: 'X', note: 'y' }],
    }),
  },
];

const linesOf = (facts: ReportFacts) => buildServiceReport(facts, []).sections.flatMap(({ lines }) => lines);

test('without problems no line is marked, and the verdict counts the connections', () => {
  const lines = linesOf(goodStory).filter(({ mark }) => mark === 'warn' || mark === 'fail');
  assert.deepEqual(lines, []);
  assert.deepEqual(buildServiceReport(goodStory, []).verdict, {
    mark: 'ok',
    text: 'the virtual server of shop/web is in the kernel as desired, with 4 active connections',
    errors: 0,
    warnings: 0,
    remedies: [],
  });
});

test('the flag that draining needs with scheduler sh is not a difference', () => {
  const wanted = entry(virtual('TCP', '10.96.0.1', 80, { scheduler: 'sh' }), real('10.244.1.1', 8080, 3));
  const lent = virtual('TCP', '10.96.0.1', 80, { scheduler: 'sh', flags: ['sh-fallback'] });
  const marks = (state: 'ready' | 'draining') =>
    linesOf({
      ...goodStory,
      served: [
        {
          ...goodServed,
          wanted: virtualServerJson(wanted),
          realServers: { '10.244.1.1:8080': { state: 'ready' }, '10.244.2.1:8080': { state } },
        },
      ],
      ...withTables(entry(lent, ...wanted.realServers.values(), real('10.244.2.1', 8080, 1, { weight: 0 }))),
    })
      .filter(({ id }) => id === 'virtual-servers')
      .map(({ mark }) => mark);
  assert.deepEqual(marks('draining'), ['ok']);
  assert.deepEqual(marks('ready'), ['fail']);
});

for (const { what, line: expected, shows = [], commands = [], wrong } of cases)
  test(`${expected.split(' ')[1]}: ${what}`, () => {
    const facts = { ...goodStory, ...wrong };
    const found = linesOf(facts).find(({ mark, id }) => `${mark} ${id}` === expected);
    assert.ok(found, JSON.stringify(linesOf(facts), undefined, 1));
    for (const text of shows) assert.ok(found.text.includes(text), `${found.text} shows ${text}`);
    assert.deepEqual(
      (found.remedies ?? []).flatMap(({ command }) => command ?? []),
      commands,
    );
    const { verdict } = buildServiceReport(facts, []);
    // The verdict is of the worst mark that any line has.
    const marks = linesOf(facts).map(({ mark }) => mark);
    assert.equal(verdict.mark, (['fail', 'warn'] as const).find((mark) => marks.includes(mark)) ?? 'ok');
  });

test('weights are shown with where they come from, and the scheduler that they need', () => {
  const weights = { weight: 30, weightReason: 'pod-annotation' } as const;
  const off = { weight: 0, weightReason: 'cpu-request' } as const;
  const { server, realServers } = goodTable;
  const facts: ReportFacts = {
    ...goodStory,
    ...withService({
      service: { ...goodService.service, weightBy: 'pod' },
      endpoints: [
        { ...web1, ...weights },
        { ...web2, ...off },
      ],
      virtualServers: [
        {
          ...goodServed,
          wanted: virtualServerJson({ server: { ...server, scheduler: 'wrr' }, realServers }),
        },
      ],
    }),
  };
  const shown = linesOf(facts)
    .flatMap(({ text, details = [] }) => [text, ...details])
    .join('\n')
    .replaceAll(/ +/g, ' ');
  assert.match(shown, /weights by pod; wrr instead of rr, which ignores weights/);
  assert.match(shown, /1 of 2 endpoints gets connections/);
  assert.match(shown, /in 10\.244\.1\.1:8080 .*ready; weight 30: annotation of the pod/);
  assert.match(shown, /out 10\.244\.2\.1:8080 .*ready; weight 0: CPU request of the pod/);
});

const schedulerOf: readonly [
  what: string,
  service: Partial<ServiceReportResponse['service']>,
  text: string,
][] = [
  ['no choice', {}, 'by pod; wrr instead of rr, which ignores weights'],
  [
    'services.scheduler',
    { settings: { scheduler: { value: 'lc', from: 'configuration' } } },
    'by pod; wrr instead of lc, which ignores weights',
  ],
  [
    'services.scheduler, which is the one that is used',
    { settings: { scheduler: { value: 'wrr', from: 'configuration' } } },
    'by pod',
  ],
  [
    'the last valid annotation',
    { scheduler: 'wrr', settings: { scheduler: { value: 'wrr', from: 'earlier-annotation' } } },
    'by pod',
  ],
  ['an annotation, as an older daemon tells it', { scheduler: 'wrr' }, 'by pod'],
];
for (const [what, service, text] of schedulerOf)
  test(`the scheduler that weights replace is that of ${what}`, () => {
    const { server, realServers } = goodTable;
    const wanted = virtualServerJson({ server: { ...server, scheduler: 'wrr' }, realServers });
    const shown = linesOf({
      ...goodStory,
      ...withService({
        service: { ...goodService.service, weightBy: 'pod', ...service },
        virtualServers: [{ ...goodServed, wanted }],
      }),
    })
      .flatMap(({ details = [] }) => details)
      .filter((line) => line.startsWith('weights'));
    assert.deepEqual(
      shown.map((line) => line.replace(/^weights +/, '')),
      [text],
    );
  });

test('a pod is found by its name, its address, or its address and port, but not by a part of them', () => {
  const long = endpoint('10.244.1.10:8080', 'web-10', 'node-1');
  const found = (pod: string) =>
    linesOf({ ...goodStory, ...withService({ endpoints: [web1, long] }), pod })
      .filter(({ id }) => id === 'pod')
      .map(({ text }) => text.split(' ')[1]);
  for (const pod of ['shop/web-1', '10.244.1.1', '10.244.1.1:8080'])
    assert.deepEqual(found(pod), ['10.244.1.1:8080'], pod);
});

test('a packet that gets no reply is in the verdict', () => {
  const from = {
    who: 'outside',
    address: ip('192.0.2.1'),
    here: false,
    given: true,
    interfaceName: 'x',
  } as const;
  const to = { address: ip('10.96.0.1'), protocol: 'TCP', port: 80 } as const;
  const verdict = (step: TraceStep, end: Trace['end']) =>
    buildServiceReport(goodStory, [{ from, to, end, candidates: [], steps: [step] }]).verdict;
  assert.deepEqual(verdict({ id: 'rules', mark: 'fail', text: 'rules drop it' }, 'dropped'), {
    mark: 'warn',
    text: 'a packet from 192.0.2.1 (outside) to TCP 10.96.0.1:80 is dropped: rules drop it',
    errors: 0,
    warnings: 1,
    remedies: [],
  });
  assert.match(
    verdict({ id: 'answer', mark: 'warn', text: 'past this node' }, 'answered').text,
    /may get no reply/,
  );
  assert.equal(verdict({ id: 'answer', mark: 'ok', text: 'fine' }, 'answered').mark, 'ok');
});

test('every check has a case, except the two that only describe', () => {
  const tried = new Set(cases.map(({ line }) => line.split(' ')[1]));
  const ids = Object.values(reportChecks).flatMap((all) => all.map(({ id }) => id));
  assert.deepEqual(
    ids.filter((id) => !tried.has(id)),
    ['service', 'class'],
  );
});

test('the settings of a Service are shown with their origin', () => {
  const { service } = goodStory;
  assert.ok(service);
  const settings = {
    scheduler: { value: 'sh', from: 'annotation' },
    flags: { value: '', from: 'earlier-annotation' },
    'upper-threshold': { value: '9', from: 'configuration' },
  } as const;
  const facts = { ...goodStory, service: { ...service, service: { ...service.service, settings } } };
  const [summary] = linesOf(facts).filter(({ id }) => id === 'service');
  assert.deepEqual(summary?.details?.slice(-3), [
    'scheduler        sh, by annotation',
    'flags            none, the last valid annotation',
    'upper threshold  9, by default (services in the configuration)',
  ]);
});
