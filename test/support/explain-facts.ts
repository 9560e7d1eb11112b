import { defaultInstance } from '../../src/model/instance-names.js';
import { onlyBinding } from '../../src/model/settings/vip-binding.js';
import {
  serviceEndpoint,
  servedVirtualServer,
  type KernelFacts,
  type ReportFacts,
  type ServedVirtualServer,
} from '../../src/cli/explain/facts.js';
import { checks, evaluateChecks } from '../../src/doctor/all-checks.js';
import type { RuleEnvironment } from '../../src/nftables/rule-interpreter.js';
import type { EndpointResponse } from '../../src/admin-api/endpoint-response.js';
import type { ServiceReportResponse } from '../../src/admin-api/responses.js';
import { packetTable } from '../../src/plan/packet-rules/packet-table.js';
import { virtualServerJson } from '../../src/plan/output/ipvs-table-formats.js';
import { goodFacts } from './doctor-facts.js';
import { ip } from './objects.js';
import { real, entry, virtual } from './observed-entries.js';

/** The virtual server of shop/web in the kernel, as it should be. */
export const goodTable = entry(
  virtual('TCP', '10.96.0.1', 80),
  real('10.244.1.1', 8080, 3),
  real('10.244.2.1', 8080, 1),
);

export const goodServed: ServedVirtualServer = servedVirtualServer({
  key: 'TCP 10.96.0.1:80',
  service: 'shop/web',
  port: { name: 'http', port: 80 },
  frontend: 'ClusterIP',
  policy: 'Cluster',
  realServers: {
    '10.244.1.1:8080': { pod: 'shop/web-1', node: 'node-1', state: 'ready' },
    '10.244.2.1:8080': { pod: 'shop/web-2', node: 'node-2', state: 'ready' },
  },
  wanted: virtualServerJson(goodTable),
  packetClass: 'cluster-ip',
});

export const endpoint = (
  realServer: string,
  pod: string,
  node: string,
  changes: Partial<EndpointResponse> = {},
): EndpointResponse => ({
  realServer,
  port: 'http',
  protocol: 'TCP',
  pod: `shop/${pod}`,
  node,
  ready: true,
  serving: true,
  terminating: false,
  cluster: { used: true, reason: 'ready' },
  local: node === 'node-1' ? { used: true, reason: 'ready' } : { used: false, reason: 'on-another-node' },
  ...changes,
});

export const goodService: ServiceReportResponse = {
  version: 1,
  service: {
    name: 'shop/web',
    type: 'ClusterIP',
    createdAt: '2026-01-02T03:04:05.000Z',
    clusterIps: ['10.96.0.1'],
    externalIps: [],
    loadBalancerIps: [],
    loadBalancerSourceRanges: [],
    ports: [{ name: 'http', protocol: 'TCP', port: 80 }],
    internalTrafficPolicy: 'Cluster',
    externalTrafficPolicy: 'Cluster',
  },
  node: { name: 'node-1' },
  slices: ['shop/web-abc'],
  endpoints: [endpoint('10.244.1.1:8080', 'web-1', 'node-1'), endpoint('10.244.2.1:8080', 'web-2', 'node-2')],
  endpointCount: 2,
  virtualServers: [goodServed],
  lingering: {},
  addresses: [{ address: '10.96.0.1', bound: true }],
  elements: [
    {
      family: 'IPv4',
      set: 'cluster-ip',
      element: '10.96.0.1 . TCP . 80',
      fields: ['10.96.0.1', 'TCP', 80],
      inKernel: true,
    },
    { family: 'IPv4', set: 'vips', element: '10.96.0.1', fields: ['10.96.0.1'], inKernel: true },
  ],
  problems: [],
  events: [],
  refused: [],
};

const vip = ip('10.96.0.1');

/** Rules of a cluster whose pods are 10.244.0.0/16, with these elements, as `set field . field`. */
export const rulesWith = (...elements: readonly string[]): RuleEnvironment => ({
  table: packetTable({
    family: 'IPv4',
    table: defaultInstance.table,
    masqueradeAll: false,
    masqueradeMark: 0x4000,
    vipBinding: 'address',
    podTraffic: {
      by: 'source',
      cidr: { text: '10.244.0.0/16', address: ip('10.244.0.0'), prefixLength: 16 },
    },
    masqueradePorts: [{ first: 32_768, last: 60_999 }],
    refusesBeforeRouting: true,
    sourceLengths: [],
  }),
  hasElement: (set, fields) => elements.includes(`${set} ${fields.join(' . ')}`),
  isLocal: (address) => address === vip,
});

export const goodKernel: KernelFacts = {
  virtualServers: new Map([[goodTable.server.key, goodTable]]),
  dummyInterface: defaultInstance.dummyInterface,
  vips: new Map([[vip, onlyBinding('address')]]),
  addresses: new Set([vip, ip('10.200.0.2')]),
  rules: { IPv4: rulesWith('cluster-ip 10.96.0.1 . TCP . 80', 'vips 10.96.0.1') },
};

/** A Service with which nothing is wrong. */
export const goodStory: ReportFacts = {
  target: 'shop/web',
  service: goodService,
  served: [goodServed],
  endpoints: goodService.endpoints.map(serviceEndpoint),
  pod: undefined,
  kernel: { value: goodKernel },
  node: evaluateChecks(
    goodFacts,
    checks.filter(({ group }) => group === 'settings'),
  ),
  status: goodFacts.status,
};
