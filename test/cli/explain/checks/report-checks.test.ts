import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReportFacts } from '../../../../src/cli/explain/facts.js';
import type { Trace, TraceStep } from '../../../../src/cli/explain/trace-packet.js';
import { reportChecks, buildServiceReport } from '../../../../src/cli/explain/service-report.js';
import type {
  ServedVirtualServerResponse,
  ServiceReportResponse,
} from '../../../../src/admin-api/responses.js';
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

const withService = (changes: Partial<ServiceReportResponse>): Partial<ReportFacts> => ({
  service: { ...goodService, ...changes },
});
const withServed = (changes: Partial<ServedVirtualServerResponse>): Partial<ReportFacts> => ({
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

const sticky = (prefixLength: number) =>
  virtual('TCP', '10.96.0.1', 80, { persistence: { seconds: 60, prefixLength } });

interface JudgementCase {
  readonly what: string;
  /** `mark judgement`, and what the line matches. */
  readonly line: string;
  readonly text: RegExp;
  readonly next?: RegExp;
  readonly wrong: Partial<ReportFacts>;
}

const cases: readonly JudgementCase[] = [
  {
    what: 'no Service asks for an address',
    line: 'note unasked',
    text: /^no Service that kube-ipvs serves asks for shop\/web/,
    wrong: { service: undefined, served: [] },
  },
  {
    what: 'no daemon runs',
    line: 'warn unasked',
    text: /^without a daemon nothing is known of Services: ENOENT/,
    next: /^start kube-ipvs/,
    wrong: { service: undefined, served: [], status: { unavailable: 'ENOENT', remedy: '' } },
  },
  {
    what: 'nothing is served',
    line: 'fail unserved',
    text: /^nothing of shop\/web is served on this node/,
    wrong: { ...withService({ virtualServers: [] }), served: [] },
  },
  {
    what: 'an older Service has the address',
    line: 'fail taken',
    text: /^TCP 10\.96\.0\.1:80 is another, older Service's/,
    next: /kube-ipvs explain 'TCP 10\.96\.0\.1:80'$/,
    wrong: { served: [{ ...goodServed, wanted: undefined } as unknown as ServedVirtualServerResponse] },
  },
  {
    what: 'a part cannot be served',
    line: 'warn problems',
    text: /^AddressReserved: 192\.0\.2\.1 is a gateway/,
    next: /^kubectl -n shop describe service web$/,
    wrong: withService({ problems: [{ reason: 'AddressReserved', message: '192.0.2.1 is a gateway' }] }),
  },
  {
    what: 'the pod that is asked for is not ready',
    line: 'fail pod',
    text: /10\.244\.2\.1:8080 gets no connections: not ready$/,
    next: /^kubectl -n shop describe pod web-2$/,
    wrong: { ...withService({ endpoints: [web1, { ...web2, ...out }] }), pod: 'shop/web-2' },
  },
  {
    what: 'no endpoint is ready',
    line: 'fail endpoints',
    text: /^http\/TCP: none of 2 endpoints is ready, so that every connection is refused$/,
    next: /^kubectl -n shop describe pod web-1$/,
    wrong: withService({
      endpoints: [
        { ...web1, ...out },
        { ...web2, ...out },
      ],
    }),
  },
  {
    what: 'there is no endpoint at all',
    line: 'fail endpoints',
    text: /^http\/TCP: there are no endpoints.*; the Service has no EndpointSlice$/,
    next: /kubectl -n shop get endpointslices/,
    wrong: withService({ endpoints: [], slices: [] }),
  },
  {
    what: 'only those that terminate are left',
    line: 'warn endpoints',
    text: /none is ready, those that terminate are the last resort$/,
    wrong: withService({
      endpoints: [
        { ...web1, ready: false, terminating: true, cluster: { used: true, reason: 'last-resort' } },
      ],
    }),
  },
  {
    what: 'internalTrafficPolicy Local, and no endpoint here',
    line: 'warn endpoints',
    text: /no endpoint is on this node; the ClusterIP refuses here/,
    wrong: {
      ...withService({ endpoints: [{ ...web2, local: elsewhere }] }),
      ...withServed({ policy: 'Local' }),
    },
  },
  {
    what: 'internalTrafficPolicy Local, and none that is here is ready',
    line: 'warn endpoints',
    text: /no endpoint on this node is ready; the ClusterIP refuses here/,
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
    what: 'something drains',
    line: 'note draining',
    text: /^1 real server drains/,
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
    what: 'the kernel may not be read',
    line: 'warn access',
    text: /^the kernel cannot be read.*EPERM$/,
    next: /^run it as root$/,
    wrong: { kernel: { unavailable: 'EPERM', remedy: 'run it as root' } },
  },
  {
    what: 'the virtual server is missing',
    line: 'fail virtual-servers',
    text: /^TCP 10\.96\.0\.1:80 \(ClusterIP\) is not in the kernel$/,
    next: /next sync/,
    wrong: withTables(),
  },
  {
    what: 'the kernel refused the virtual server',
    line: 'fail virtual-servers',
    text: /is not in the kernel: it refused kube-ipvs, ENOENT/,
    next: /kube-ipvs doctor$/,
    wrong: {
      ...withTables(),
      ...withService({ refused: [{ what: 'TCP 10.96.0.1:80', reason: 'ENOENT', seconds: 3 }] }),
    },
  },
  {
    what: 'somebody else has made it',
    line: 'fail virtual-servers',
    text: /made by somebody else, and kube-ipvs leaves it alone \(wlc, 1 real server\)$/,
    next: /ipvsadm -D -t 10\.96\.0\.1:80; .*; kubectl -n shop annotate service web ipvs\.kube-ipvs\.dev\/take-over-foreign=true$/,
    wrong: { ...withServed({ contested: true }), ...withTables(foreignTable) },
  },
  {
    what: 'a real server has another weight',
    line: 'fail virtual-servers',
    text: /is not as kube-ipvs wants it: 2 differences$/,
    wrong: withTables(entry(goodTable.server, real('10.244.1.1', 8080, 3, { weight: 0 }))),
  },
  {
    what: 'the scheduler is another',
    line: 'fail virtual-servers',
    text: /is not as kube-ipvs wants it: 1 difference$/,
    wrong: withTables(
      entry(virtual('TCP', '10.96.0.1', 80, { scheduler: 'sh' }), ...goodTable.realServers.values()),
    ),
  },
  {
    what: 'persistence is by network',
    line: 'fail virtual-servers',
    text: /is not as kube-ipvs wants it: 1 difference$/,
    wrong: {
      ...withServed({
        wanted: virtualServerJson(entry(sticky(32), ...goodTable.realServers.values())),
      }),
      ...withTables(entry(sticky(24), ...goodTable.realServers.values())),
    },
  },
  {
    what: 'nobody asks for the port',
    line: 'fail unserved',
    text: /^shop\/web is served on this node, but not shop\/web:htpp$/,
    next: /kube-ipvs explain shop\/web$/,
    wrong: { target: 'shop/web:htpp', served: [] },
  },
  {
    what: 'packet rules of a family are not in force',
    line: 'fail health',
    text: /^kube-ipvs is not healthy: the packet rules for IPv6 are not in force: EBUSY$/,
    wrong: {
      status: status({
        healthy: false,
        packetRules: { IPv4: { inForce: true }, IPv6: { inForce: false, trouble: 'EBUSY' } },
      }),
    },
  },
  {
    what: 'a port that it had lingers',
    line: 'note lingering',
    text: /^1 virtual server that the Service asks for no more/,
    wrong: withService({
      lingering: { 'TCP 10.96.0.1:81': { lingering: { seconds: 1, secondsLeft: 60 }, realServers: {} } },
    }),
  },
  {
    what: 'the address is not on kube-ipvs0',
    line: 'fail addresses',
    text: /^10\.96\.0\.1 is not on kube-ipvs0/,
    wrong: { kernel: { value: { ...goodKernel, dummyAddresses: new Set() } } },
  },
  {
    what: 'the packet rules are not in force',
    line: 'fail in-force',
    text: /^the packet rules of IPv4 are not in force: EBUSY/,
    wrong: { status: status({ packetRules: { IPv4: { inForce: false, trouble: 'EBUSY' } } }) },
  },
  {
    what: 'the table is gone',
    line: 'fail in-force',
    text: /^there is no table ip kube-ipvs/,
    wrong: { kernel: { value: { ...goodKernel, rules: {} } } },
  },
  {
    what: 'an element is missing',
    line: 'fail elements',
    text: /^1 of 2 elements are missing in the packet rules$/,
    wrong: { kernel: { value: { ...goodKernel, rules: { IPv4: rulesWith('vips 10.96.0.1') } } } },
  },
  {
    what: 'a setting is wrong',
    line: 'fail settings',
    text: /^ipv4-forwarding: net\.ipv4\.ip_forward is 0\. Without it/,
    next: /^sysctl -w net\.ipv4\.ip_forward=1/,
    wrong: {
      node: goodStory.node.map((outcome) =>
        outcome.id === 'ipv4-forwarding'
          ? {
              ...outcome,
              result: 'fail',
              seen: 'net.ipv4.ip_forward is 0',
              remedy: 'sysctl -w net.ipv4.ip_forward=1',
            }
          : outcome,
      ),
    },
  },
  {
    what: 'the source is in trouble',
    line: 'warn health',
    text: /^kube-ipvs does not follow api now.*: connection refused$/,
    wrong: {
      status: status({ source: { name: 'api', delivered: true, trouble: 'connection refused' } }),
    },
  },
  {
    what: 'nothing was delivered yet',
    line: 'fail health',
    text: /^kube-ipvs waits for its first full state from api$/,
    wrong: { status: status({ source: { name: 'api', delivered: false } }) },
  },
  {
    what: 'a sync is outstanding',
    line: 'fail health',
    text: /^kube-ipvs is not healthy: a sync has been outstanding for too long/,
    wrong: { status: status({ healthy: false }) },
  },
  {
    what: 'the kernel refused something of it',
    line: 'fail refused',
    text: /^the kernel refused 10\.96\.0\.1: EINVAL$/,
    next: /^it is tried again in 3 s by itself$/,
    wrong: withService({
      refused: [{ what: '10.96.0.1', reason: 'EINVAL', seconds: 9, nextTrySeconds: 2.5 }],
    }),
  },
  {
    what: 'there were events',
    line: 'note events',
    text: /^event of 2026-01-01T00:00:00\.000Z: Warning X: y$/,
    wrong: withService({
      events: [{ at: '2026-01-01T00:00:00.000Z', type: 'Warning', reason: 'X', note: 'y' }],
    }),
  },
];

const linesOf = (facts: ReportFacts) => buildServiceReport(facts, []).sections.flatMap(({ lines }) => lines);

test('where nothing is wrong no line says so, and the verdict tells it with the connections', () => {
  const lines = linesOf(goodStory).filter(({ mark }) => mark === 'warn' || mark === 'fail');
  assert.deepEqual(lines, []);
  assert.deepEqual(buildServiceReport(goodStory, []).verdict, {
    mark: 'ok',
    text: 'shop/web is well: its virtual server is in the kernel as wanted, with 4 active connections',
  });
});

test('what draining asks of the scheduler sh is no difference', () => {
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

for (const { what, line: expected, text, next, wrong } of cases)
  test(`${expected.split(' ')[1]}: ${what}`, () => {
    const facts = { ...goodStory, ...wrong };
    const found = linesOf(facts).find(({ mark, id }) => `${mark} ${id}` === expected);
    assert.ok(found, JSON.stringify(linesOf(facts), undefined, 1));
    assert.match(found.text, text);
    if (next !== undefined) assert.match(found.next ?? '', next);
    const { verdict } = buildServiceReport(facts, []);
    // The verdict is of the worst mark that any line has.
    const marks = linesOf(facts).map(({ mark }) => mark);
    assert.equal(verdict.mark, (['fail', 'warn'] as const).find((mark) => marks.includes(mark)) ?? 'ok');
  });

test('a pod is known by its name, its address, or its address and port, and by no part of them', () => {
  const long = endpoint('10.244.1.10:8080', 'web-10', 'node-1');
  const told = (pod: string) =>
    linesOf({ ...goodStory, ...withService({ endpoints: [web1, long] }), pod })
      .filter(({ id }) => id === 'pod')
      .map(({ text }) => text.split(' ')[1]);
  for (const pod of ['shop/web-1', '10.244.1.1', '10.244.1.1:8080'])
    assert.deepEqual(told(pod), ['10.244.1.1:8080'], pod);
});

test('a packet that does not come through, or whose answer may be lost, is in the verdict', () => {
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
    text: 'a packet of 192.0.2.1 (outside) to TCP 10.96.0.1:80 is dropped: rules drop it',
  });
  assert.match(
    verdict({ id: 'answer', mark: 'warn', text: 'past this node' }, 'answered').text,
    /perhaps not answered/,
  );
  assert.equal(verdict({ id: 'answer', mark: 'ok', text: 'fine' }, 'answered').mark, 'ok');
});

test('every judgement has a case, but for the two that only describe', () => {
  const tried = new Set(cases.map(({ line }) => line.split(' ')[1]));
  const ids = Object.values(reportChecks).flatMap((all) => all.map(({ id }) => id));
  assert.deepEqual(
    ids.filter((id) => !tried.has(id)),
    ['service', 'class'],
  );
});
