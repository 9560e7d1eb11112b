import assert from 'node:assert/strict';
import { test } from 'node:test';
import { selectTargets } from '../../../src/cli/diff/diff-selection.js';
import { buildServiceIndex } from '../../../src/cli/admin/service-index.js';
import type { VirtualServerDescription } from '../../../src/admin-api/responses.js';
import type { VirtualServerKey } from '../../../src/model/virtual-server.js';
import { ip } from '../../support/objects.js';
import type { PlanGroup, PlanStep, PlanSubject } from '../../../src/plan/output/plan-text.js';

const served = (service: string, port: number, pod: string): VirtualServerDescription => ({
  service,
  port: { name: `p${port}`, port },
  frontend: 'ClusterIP',
  realServers: { '10.244.1.5:8080': { pod, state: 'ready' } },
});

const book = buildServiceIndex({
  version: 1,
  virtualServers: {
    'TCP 10.96.0.1:80': served('shop/web', 80, 'shop/web-1'),
    'TCP [fd00::1]:80': served('shop/web', 80, 'shop/web-1'),
    'UDP 10.96.0.1:53': served('shop/web', 53, 'shop/web-1'),
    'TCP 10.96.0.2:80': served('shop/web.v2', 80, 'shop/web-2'),
    'TCP 10.96.0.3:80': served('bank/api', 80, 'bank/api-1'),
  },
});

const step = (kind: PlanStep['kind'], key: string, subject: PlanSubject = {}): PlanStep => ({
  op: 'add',
  kind,
  key,
  subject,
});
const server = (key: string): PlanSubject => ({ virtualServer: key as VirtualServerKey });

const steps = {
  web: step('virtual-server', 'TCP 10.96.0.1:80', server('TCP 10.96.0.1:80')),
  webReal: step('real-server', '10.244.1.5:8080', server('TCP 10.96.0.1:80')),
  web6: step('virtual-server', 'TCP [fd00::1]:80', server('TCP [fd00::1]:80')),
  dns: step('virtual-server', 'UDP 10.96.0.1:53', server('UDP 10.96.0.1:53')),
  webAddress: step('address', '10.96.0.1/32', { address: ip('10.96.0.1') }),
  web6Address: step('address', 'fd00::1/128', { address: ip('fd00::1') }),
  webElement: step('element', 'IPv4 cluster-ip 10.96.0.1 . TCP . 80', server('TCP 10.96.0.1:80')),
  dnsElement: step('element', 'IPv4 cluster-ip 10.96.0.1 . UDP . 53', server('UDP 10.96.0.1:53')),
  vip: step('element', 'IPv4 vips 10.96.0.1', { address: ip('10.96.0.1') }),
  vip6: step('element', 'IPv6 vips fd00::1', { address: ip('fd00::1') }),
  v2: step('virtual-server', 'TCP 10.96.0.2:80', server('TCP 10.96.0.2:80')),
  v2Address: step('address', '10.96.0.2/32', { address: ip('10.96.0.2') }),
  api: step('virtual-server', 'TCP 10.96.0.3:80', server('TCP 10.96.0.3:80')),
  gone: step('virtual-server', 'TCP 10.96.0.9:80', server('TCP 10.96.0.9:80')),
  mark: step('virtual-server', 'FWM 5 IPv4', server('FWM 5 IPv4')),
  table: step('table', 'IPv4 kube-ipvs'),
  setting: step('sysctl', 'net.ipv4.vs.conntrack'),
} as const;

const groups: readonly PlanGroup[] = [
  { name: 'the node', steps: [steps.table, steps.setting] },
  { name: 'all', steps: Object.values(steps).filter(({ kind }) => kind !== 'table' && kind !== 'sysctl') },
];

const web = [
  'web',
  'webReal',
  'web6',
  'dns',
  'webAddress',
  'web6Address',
  'webElement',
  'dnsElement',
  'vip',
  'vip6',
];
const web4 = ['web', 'webReal', 'dns', 'webAddress', 'webElement', 'dnsElement', 'vip'];
const webPort = ['web', 'webReal', 'web6', 'webAddress', 'web6Address', 'webElement', 'vip', 'vip6'];

for (const { targets, namespace, wanted } of [
  { targets: [], wanted: Object.keys(steps) },
  { targets: ['shop/web'], wanted: web },
  { targets: ['svc/web'], namespace: 'shop', wanted: web },
  { targets: ['shop/web:p80'], wanted: webPort },
  { targets: ['shop/web:80'], wanted: webPort },
  { targets: ['pod/web-1'], namespace: 'shop', wanted: web },
  { targets: ['shop/web.v2'], wanted: ['v2', 'v2Address'] },
  { targets: [], namespace: 'shop', wanted: [...web, 'v2', 'v2Address'] },
  { targets: [], namespace: 'bank', wanted: ['api'] },
  { targets: ['10.96.0.1'], wanted: web4 },
  { targets: ['10.96.0.1:53'], wanted: ['dns', 'webAddress', 'dnsElement', 'vip'] },
  { targets: ['[fd00::1]:80'], wanted: ['web6', 'web6Address', 'vip6'] },
  { targets: ['FD00:0::1'], wanted: ['web6', 'web6Address', 'vip6'] },
  { targets: ['10.96.0.9:80'], wanted: ['gone'] },
  { targets: ['bank/api', '10.96.0.2'], wanted: ['v2', 'v2Address', 'api'] },
  { targets: ['10.99.0.1'], wanted: [] },
])
  test(`diff ${targets.join(' ')}${namespace === undefined ? '' : ` -n ${namespace}`}`, () => {
    const chosen = selectTargets(targets, namespace, book)
      .filterGroups(groups)
      .flatMap((group) => group.steps);
    const names = Object.entries(steps).flatMap(([name, each]) => (chosen.includes(each) ? name : []));
    assert.deepEqual(names.toSorted(), wanted.toSorted());
    for (const group of selectTargets(targets, namespace, book).filterGroups(groups))
      assert.ok(group.steps.length > 0);
  });

test('virtual servers are selected like their steps', () => {
  const has = (...targets: readonly string[]) =>
    selectTargets(targets, undefined, book).includes('TCP 10.96.0.1:80');
  assert.deepEqual(
    [has(), has('shop/web'), has('10.96.0.1:80'), has('bank/api'), has('shop/web:p53')],
    [true, true, true, false, false],
  );
});

test('a target that is not found is reported with a suggestion', () => {
  const choose = (target: string | undefined, namespace?: string) => () =>
    selectTargets(target === undefined ? [] : [target], namespace, book);
  assert.throws(choose('shop/wbe'), {
    message: 'Service or pod shop/wbe not found in the desired state. Did you mean shop/web?',
  });
  assert.throws(choose('shop/web:p81'), /Did you mean shop\/web:p80\?$/);
  assert.throws(choose(undefined, 'shp'), /namespace shp .*Did you mean -n shop\?$/);
  assert.throws(choose('other/thing-of-no-likeness'), /Run `kube-ipvs dump` to list all\.$/);
  assert.throws(choose('Web!'), /"Web!" is not a valid target/);
  assert.throws(choose('10.96.0.1:99999'), /"99999" is not a valid port/);
});
