// What kube-proxy programs for which objects: the 131 scenarios known of it, each by its number. Here are those in which one
// state of the cluster gives one table; those in which one state follows another are in kube-proxy-transitions.test.ts.
//
// No table tells these:
//   39, 40   which addresses the facts of a node hold: never those of kube-ipvs0
//   24-29    which packets to a ClusterIP are masqueraded; the table is that of row 1
//   60-63    what source ranges let through; the table is that of row 58
//   66, 67   the set of health check ports
//   116-121  stale UDP flows in conntrack
//   122-126  answers of the health servers
//   127, 128 the rhythm of syncs
//   129-131  configuration and when the process ends
// and in 10, 23, 30, 32-34, 37, 45, 46, 48, 49, 52, 56-59, 69-75, 78 the sets, marks and gauges that kube-proxy keeps beside.
// Row 2 is in row 1, row 59 in row 58.
//
// kube-ipvs serves both families in one process: rows about one family's proxier expect what both do together.
// Where it differs from kube-proxy on purpose the row says so.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCidr } from '../../src/base/ip.js';
import type { RenderSettings } from '../../src/plan/render/render-context.js';
import {
  deadTerminating,
  local,
  nodeFacts,
  notReady,
  otherNode,
  ready,
  serviceObject,
  servingTerminating,
  settings,
  sliceObject,
  thisNode,
  type EndpointSpec,
  type ServiceSpec,
} from '../support/objects.js';
import { readObjects } from '../support/read-objects.js';
import { ProductionNode } from '../support/production-node.js';

interface Row {
  /** Number in the list of scenarios. */
  readonly row: number;
  readonly claim: string;
  readonly given: readonly object[];
  /** Interface addresses beside those of lo, as `eth0 10.0.0.1/24`. */
  readonly node?: readonly string[];
  readonly zone?: string;
  readonly settings?: Partial<RenderSettings>;
  readonly table: readonly string[];
  readonly dummy: readonly string[];
  /** Reasons of problems; none where absent. */
  readonly problems?: readonly string[];
}

const cidrs = (...texts: readonly string[]): Pick<RenderSettings, 'nodePortAddresses'> => ({
  nodePortAddresses: texts.map((text) => {
    const cidr = parseCidr(text);
    assert.ok(cidr, text);
    return cidr;
  }),
});

const vip = '10.20.30.41';
const http = [':80'];
/** A Service `web` on 10.20.30.41:80 and what makes it special. */
const web = (fields: ServiceSpec = {}): object =>
  serviceObject('web', { clusterIP: vip, ports: http, ...fields });
const webSlice = (...endpoints: readonly EndpointSpec[]): object => sliceObject('web', endpoints);
const nodePort = { type: 'NodePort', ports: [':80@3001'] };
const loadBalancer = { type: 'LoadBalancer', ports: [':80@3001'], ingress: [{ ip: '1.2.3.4' }] };
const externalLocal = { externalTrafficPolicy: 'Local' };
const internalLocal = { internalTrafficPolicy: 'Local' };
const here = local(ready('10.0.1.1'));
const there = ready('10.0.1.2');
const both = '10.0.1.1:80, 10.0.1.2:80';
const eth0 = ['eth0 100.101.102.103/24'];
const nodeAddress = '100.101.102.103';

const clusterIp: readonly Row[] = [
  {
    row: 1,
    claim: 'a Service of each family is served by endpoints of its own (with row 2, the IPv6 half)',
    given: [
      serviceObject('a', { clusterIP: vip, ports: http }),
      sliceObject('a', [ready('10.180.0.1')]),
      serviceObject('b', { clusterIP: '1002:ab8::2:1', ports: [':8080'] }),
      sliceObject('b', [ready('1009:ab8::5:6')], { family: 'IPv6', ports: [':8080'] }),
    ],
    table: [`TCP ${vip}:80 → 10.180.0.1:80`, 'TCP [1002:ab8::2:1]:8080 → [1009:ab8::5:6]:8080'],
    dummy: [`${vip}/32`, '1002:ab8::2:1/128'],
  },
  {
    row: 3,
    claim: 'without a slice the virtual server is kept without real servers',
    given: [web()],
    table: [`TCP ${vip}:80 → —`],
    dummy: [`${vip}/32`],
  },
  {
    row: 4,
    claim: 'so it is with a slice without endpoints',
    given: [web(), webSlice()],
    table: [`TCP ${vip}:80 → —`],
    dummy: [`${vip}/32`],
  },
  {
    row: 5,
    claim: 'a slice of a family in which the Service has no ClusterIP is ignored',
    given: [
      web(),
      sliceObject('web', [ready('10.180.0.1')]),
      sliceObject('web', [ready('1002:ab8::2:10')], { family: 'IPv6', suffix: 'v6' }),
    ],
    table: [`TCP ${vip}:80 → 10.180.0.1:80`],
    dummy: [`${vip}/32`],
  },
  {
    row: 6,
    claim: 'the protocol is part of how ports meet',
    given: [web(), sliceObject('web', [there], { ports: [':80/UDP'] })],
    table: [`TCP ${vip}:80 → —`],
    dummy: [`${vip}/32`],
  },
  {
    row: 7,
    claim: 'so is the name of the port',
    given: [web({ ports: ['http:80'] }), sliceObject('web', [there], { ports: ['other:80'] })],
    table: [`TCP ${vip}:80 → —`],
    dummy: [`${vip}/32`],
  },
  {
    row: 8,
    claim: 'an unnamed port meets an unnamed port',
    given: [web(), webSlice(there)],
    table: [`TCP ${vip}:80 → 10.0.1.2:80`],
    dummy: [`${vip}/32`],
  },
  {
    row: 9,
    claim: 'a slice port without a number (0) is ignored',
    given: [web(), sliceObject('web', [there], { ports: [':0'] })],
    table: [`TCP ${vip}:80 → —`],
    dummy: [`${vip}/32`],
  },
  {
    row: 10,
    claim: 'of four endpoints the three ready ones are used',
    given: [web(), webSlice(here, there, ready('10.0.1.3'), notReady('10.0.1.4'))],
    table: [`TCP ${vip}:80 → ${both}, 10.0.1.3:80`],
    dummy: [`${vip}/32`],
  },
  {
    row: 12,
    claim: 'two ports on one ClusterIP are two virtual servers on one address',
    given: [web({ ports: ['a:1234', 'b:1235'] })],
    table: [`TCP ${vip}:1234 → —`, `TCP ${vip}:1235 → —`],
    dummy: [`${vip}/32`],
  },
  {
    row: 15,
    claim: 'TCP and UDP on one port are two virtual servers',
    given: [
      web({ ports: ['dns:53/UDP', 'dns-tcp:53/TCP'] }),
      sliceObject('web', [there], { ports: ['dns:53/UDP', 'dns-tcp:53/TCP'] }),
    ],
    table: [`TCP ${vip}:53 → 10.0.1.2:53`, `UDP ${vip}:53 → 10.0.1.2:53`],
    dummy: [`${vip}/32`],
  },
  {
    row: 16,
    claim: 'SCTP is served',
    given: [web({ ports: [':9999/SCTP'] }), sliceObject('web', [there], { ports: [':9999/SCTP'] })],
    table: [`SCTP ${vip}:9999 → 10.0.1.2:9999`],
    dummy: [`${vip}/32`],
  },
  {
    row: 17,
    claim: 'a headless Service is not served',
    given: [web({ clusterIP: 'None' }), webSlice(there)],
    table: [],
    dummy: [],
  },
  {
    row: 18,
    claim: 'an ExternalName Service is not served, whatever its clusterIP says',
    given: [web({ type: 'ExternalName' }), webSlice(there)],
    table: [],
    dummy: [],
  },
  {
    row: 19,
    claim: "another proxy's Service is not served",
    given: [web({ labels: { 'service.kubernetes.io/service-proxy-name': 'other' } }), webSlice(there)],
    table: [],
    dummy: [],
  },
  {
    row: 20,
    claim: 'ipFamilies says which of clusterIPs is whose',
    given: [web({ ipFamilies: ['IPv6', 'IPv4'], clusterIPs: ['fd00::41', vip] }), webSlice(there)],
    table: [`TCP ${vip}:80 → 10.0.1.2:80`, 'TCP [fd00::41]:80 → —'],
    dummy: [`${vip}/32`, 'fd00::41/128'],
  },
  {
    row: 21,
    claim: 'a dual-stack Service has a virtual server and real servers of each family',
    given: [
      web({ ipFamilies: ['IPv4', 'IPv6'], clusterIPs: [vip, 'fd00::41'] }),
      webSlice(there),
      sliceObject('web', [ready('fd00:1::2')], { family: 'IPv6', suffix: 'v6' }),
    ],
    table: [`TCP ${vip}:80 → 10.0.1.2:80`, 'TCP [fd00::41]:80 → [fd00:1::2]:80'],
    dummy: [`${vip}/32`, 'fd00::41/128'],
  },
  {
    row: 22,
    claim: 'leading zeros of an address are decimal',
    given: [web({ clusterIP: '10.096.000.001' })],
    table: ['TCP 10.96.0.1:80 → —'],
    dummy: ['10.96.0.1/32'],
  },
  {
    row: 23,
    claim: "an endpoint on the node's own address is a real server like any other",
    given: [web(), webSlice(local(ready(nodeAddress)))],
    node: eth0,
    table: [`TCP ${vip}:80 → ${nodeAddress}:80`],
    dummy: [`${vip}/32`],
  },
];

const nodePorts: readonly Row[] = [
  {
    row: 30,
    claim: 'a node port is served on the addresses of the node in the families of the Service',
    given: [web(nodePort), webSlice(there)],
    node: [...eth0, 'eth0 2001:db8::1:1/64'],
    table: [`TCP ${vip}:80 → 10.0.1.2:80`, `TCP ${nodeAddress}:3001 → 10.0.1.2:80`],
    dummy: [`${vip}/32`],
  },
  {
    row: 31,
    claim: 'so it is in IPv6',
    given: [
      web({ ...nodePort, clusterIP: 'fd00::41' }),
      sliceObject('web', [ready('fd00:1::2')], { family: 'IPv6' }),
    ],
    node: [...eth0, 'eth0 2001:db8::1:1/64'],
    table: ['TCP [2001:db8::1:1]:3001 → [fd00:1::2]:80', 'TCP [fd00::41]:80 → [fd00:1::2]:80'],
    dummy: ['fd00::41/128'],
  },
  {
    row: 32,
    claim: 'UDP node ports are served; 0.0.0.0/0 is every address',
    given: [
      web({ type: 'NodePort', ports: [':80/UDP@3001'] }),
      sliceObject('web', [there], { ports: [':80/UDP'] }),
    ],
    node: eth0,
    settings: cidrs('0.0.0.0/0'),
    table: [`UDP ${vip}:80 → 10.0.1.2:80`, `UDP ${nodeAddress}:3001 → 10.0.1.2:80`],
    dummy: [`${vip}/32`],
  },
  {
    row: 33,
    claim: 'a node port is served on every address of the node',
    given: [
      web({ type: 'NodePort', ports: [':80/SCTP@3001'] }),
      sliceObject('web', [there], { ports: [':80/SCTP'] }),
    ],
    node: [...eth0, 'eth1 100.101.102.104/24', 'eth2 100.101.102.105/24'],
    table: [
      `SCTP ${vip}:80 → 10.0.1.2:80`,
      `SCTP ${nodeAddress}:3001 → 10.0.1.2:80`,
      'SCTP 100.101.102.104:3001 → 10.0.1.2:80',
      'SCTP 100.101.102.105:3001 → 10.0.1.2:80',
    ],
    dummy: [`${vip}/32`],
  },
  {
    row: 34,
    claim: 'externalTrafficPolicy Local narrows the node port, not the ClusterIP',
    given: [
      web({ type: 'NodePort', ports: [':80/SCTP@3001'], ...externalLocal }),
      sliceObject('web', [here, there], { ports: [':80/SCTP'] }),
    ],
    node: eth0,
    table: [`SCTP ${vip}:80 → ${both}`, `SCTP ${nodeAddress}:3001 → 10.0.1.1:80`],
    dummy: [`${vip}/32`],
  },
  {
    row: 35,
    claim: 'without endpoints both virtual servers stay',
    given: [web(nodePort)],
    node: eth0,
    table: [`TCP ${vip}:80 → —`, `TCP ${nodeAddress}:3001 → —`],
    dummy: [`${vip}/32`],
  },
  {
    row: 36,
    claim: 'a Service without an IPv6 ClusterIP has no node port on IPv6 addresses',
    given: [web(nodePort)],
    node: ['eth0 2001:db8::1:1/64'],
    table: [`TCP ${vip}:80 → —`],
    dummy: [`${vip}/32`],
  },
  {
    row: 37,
    claim: 'nodePortAddresses chooses among the addresses of the node',
    given: [web({ ...nodePort, ...externalLocal }), webSlice(here, there)],
    node: [...eth0, 'eth1 10.9.9.9/24'],
    settings: cidrs('100.101.102.0/24'),
    table: [`TCP ${vip}:80 → ${both}`, `TCP ${nodeAddress}:3001 → 10.0.1.1:80`],
    dummy: [`${vip}/32`],
  },
  {
    row: 38,
    claim: 'node ports are not served on loopback and link-local addresses',
    given: [web({ ...nodePort, ipFamilies: ['IPv4', 'IPv6'], clusterIPs: [vip, 'fd00::41'] })],
    node: ['encap0 10.20.30.40/24', 'encap0 fe80::1/64', 'docker0 172.17.0.1/16'],
    table: [
      `TCP ${vip}:80 → —`,
      'TCP 10.20.30.40:3001 → —',
      'TCP 172.17.0.1:3001 → —',
      'TCP [fd00::41]:80 → —',
    ],
    dummy: [`${vip}/32`, 'fd00::41/128'],
  },
  {
    row: 41,
    claim: 'nodePortAddresses cannot bring loopback in',
    given: [web(nodePort)],
    node: eth0,
    settings: cidrs('127.0.0.0/8'),
    table: [`TCP ${vip}:80 → —`],
    dummy: [`${vip}/32`],
  },
  {
    row: 42,
    claim: 'one network that is everything makes nodePortAddresses everything',
    given: [web(nodePort)],
    node: eth0,
    settings: cidrs('1.2.3.0/24', '0.0.0.0/0'),
    table: [`TCP ${vip}:80 → —`, `TCP ${nodeAddress}:3001 → —`],
    dummy: [`${vip}/32`],
  },
  {
    row: 43,
    claim: 'nodePortAddresses of one family alone leave the other family everything',
    given: [web({ ...nodePort, ipFamilies: ['IPv4', 'IPv6'], clusterIPs: [vip, 'fd00::41'] })],
    node: [...eth0, 'eth0 2001:db8::1:1/64'],
    settings: cidrs('10.20.30.0/24'),
    table: [`TCP ${vip}:80 → —`, 'TCP [2001:db8::1:1]:3001 → —', 'TCP [fd00::41]:80 → —'],
    dummy: [`${vip}/32`, 'fd00::41/128'],
  },
  {
    row: 44,
    claim: 'without an address for node ports the rest is served',
    given: [web(nodePort), webSlice(there)],
    table: [`TCP ${vip}:80 → 10.0.1.2:80`],
    dummy: [`${vip}/32`],
  },
  {
    row: 45,
    claim: 'externalTrafficPolicy Local without a local endpoint falls back to the others',
    given: [
      web({ ...nodePort, ...externalLocal }),
      webSlice(ready('10.0.1.2'), ready('10.0.1.3'), ready('10.0.1.4')),
    ],
    node: eth0,
    table: [
      `TCP ${vip}:80 → 10.0.1.2:80, 10.0.1.3:80, 10.0.1.4:80`,
      `TCP ${nodeAddress}:3001 → 10.0.1.2:80, 10.0.1.3:80, 10.0.1.4:80`,
    ],
    dummy: [`${vip}/32`],
  },
];

const externalIps: readonly Row[] = [
  {
    row: 46,
    claim:
      'externalIPs are served; unlike in kube-proxy a loopback one is not bound, because it would never be unbound',
    given: [web({ externalIPs: ['50.60.70.81', '2012::51', '127.0.0.1'] }), webSlice(there)],
    table: [
      `TCP ${vip}:80 → 10.0.1.2:80`,
      'TCP 127.0.0.1:80 → 10.0.1.2:80',
      'TCP 50.60.70.81:80 → 10.0.1.2:80',
    ],
    dummy: [`${vip}/32`, '50.60.70.81/32'],
    problems: ['WrongFamily', 'LocalAddress'],
  },
  {
    row: 47,
    claim: 'without endpoints both virtual servers stay',
    given: [web({ externalIPs: ['50.60.70.81'] })],
    table: [`TCP ${vip}:80 → —`, 'TCP 50.60.70.81:80 → —'],
    dummy: [`${vip}/32`, '50.60.70.81/32'],
  },
  {
    row: 48,
    claim: 'externalTrafficPolicy Local narrows externalIPs',
    given: [web({ ...nodePort, ...externalLocal, externalIPs: ['50.60.70.81'] }), webSlice(here, there)],
    table: [`TCP ${vip}:80 → ${both}`, 'TCP 50.60.70.81:80 → 10.0.1.1:80'],
    dummy: [`${vip}/32`, '50.60.70.81/32'],
  },
  {
    row: 49,
    claim: 'an externalIP that another interface has is served and not bound',
    given: [web({ externalIPs: [nodeAddress] })],
    node: eth0,
    table: [`TCP ${vip}:80 → —`, `TCP ${nodeAddress}:80 → —`],
    dummy: [`${vip}/32`],
    problems: ['AddressOnInterface'],
  },
  {
    row: 50,
    claim: 'externalIPs are not served where the feature gate forbids them',
    given: [web({ externalIPs: ['50.60.70.81'] })],
    settings: { externalIpsAllowed: false },
    table: [`TCP ${vip}:80 → —`],
    dummy: [`${vip}/32`],
  },
  {
    row: 51,
    claim: 'externalIPs that are no addresses are skipped',
    given: [web({ externalIPs: ['', 'bogus'] })],
    table: [`TCP ${vip}:80 → —`],
    dummy: [`${vip}/32`],
  },
];

const loadBalancers: readonly Row[] = [
  {
    row: 52,
    claim: 'the ingress address is served on the port of the Service',
    given: [web(loadBalancer), webSlice(there)],
    table: [`TCP ${vip}:80 → 10.0.1.2:80`, 'TCP 1.2.3.4:80 → 10.0.1.2:80'],
    dummy: [`${vip}/32`, '1.2.3.4/32'],
  },
  {
    row: 53,
    claim: 'an ingress address of ipMode Proxy is not ours to serve',
    given: [web({ ...loadBalancer, ingress: [{ ip: '1.2.3.4', ipMode: 'Proxy' }] })],
    table: [`TCP ${vip}:80 → —`],
    dummy: [`${vip}/32`],
  },
  {
    row: 54,
    claim: 'one of ipMode VIP is',
    given: [web({ ...loadBalancer, ingress: [{ ip: '1.2.3.4', ipMode: 'VIP' }] })],
    table: [`TCP ${vip}:80 → —`, 'TCP 1.2.3.4:80 → —'],
    dummy: [`${vip}/32`, '1.2.3.4/32'],
  },
  {
    row: 55,
    claim: 'an ingress with a name alone is skipped',
    given: [
      web({ ...loadBalancer, ingress: [{ ip: '1.2.3.4' }, { hostname: 'a.example' }, { ip: '1.2.3.5' }] }),
    ],
    table: [`TCP ${vip}:80 → —`, 'TCP 1.2.3.4:80 → —', 'TCP 1.2.3.5:80 → —'],
    dummy: [`${vip}/32`, '1.2.3.4/32', '1.2.3.5/32'],
  },
  {
    row: 56,
    claim: 'externalTrafficPolicy Local narrows ingress addresses and node ports',
    given: [web({ ...loadBalancer, ...externalLocal, healthCheckNodePort: 30000 }), webSlice(here, there)],
    node: eth0,
    table: [
      `TCP ${vip}:80 → ${both}`,
      'TCP 1.2.3.4:80 → 10.0.1.1:80',
      `TCP ${nodeAddress}:3001 → 10.0.1.1:80`,
    ],
    dummy: [`${vip}/32`, '1.2.3.4/32'],
  },
  {
    row: 57,
    claim: 'and falls back to the others without a local endpoint',
    given: [web({ ...loadBalancer, ...externalLocal, healthCheckNodePort: 30000 }), webSlice(there)],
    table: [`TCP ${vip}:80 → 10.0.1.2:80`, 'TCP 1.2.3.4:80 → 10.0.1.2:80'],
    dummy: [`${vip}/32`, '1.2.3.4/32'],
  },
  {
    row: 58,
    claim: 'source ranges change nothing in the table (with row 59)',
    given: [
      web({ ...loadBalancer, loadBalancerSourceRanges: ['192.0.2.0/24', '10.200.0.0/24'] }),
      webSlice(there),
    ],
    table: [`TCP ${vip}:80 → 10.0.1.2:80`, 'TCP 1.2.3.4:80 → 10.0.1.2:80'],
    dummy: [`${vip}/32`, '1.2.3.4/32'],
  },
  {
    row: 64,
    claim: 'two Services may share an ingress address on different ports',
    given: [
      web(loadBalancer),
      serviceObject('tls', { ...loadBalancer, clusterIP: '10.20.30.42', ports: [':443@3002'] }),
    ],
    table: [`TCP ${vip}:80 → —`, 'TCP 10.20.30.42:443 → —', 'TCP 1.2.3.4:80 → —', 'TCP 1.2.3.4:443 → —'],
    dummy: [`${vip}/32`, '10.20.30.42/32', '1.2.3.4/32'],
  },
  {
    row: 65,
    claim: 'without allocated node ports none is served',
    given: [web({ ...loadBalancer, ports: http, allocateLoadBalancerNodePorts: false })],
    node: eth0,
    table: [`TCP ${vip}:80 → —`, 'TCP 1.2.3.4:80 → —'],
    dummy: [`${vip}/32`, '1.2.3.4/32'],
  },
  {
    row: 68,
    claim: 'ingress addresses of both families are served, each by its endpoints',
    given: [
      web({
        ...loadBalancer,
        ipFamilies: ['IPv4', 'IPv6'],
        clusterIPs: [vip, 'fd00::41'],
        ingress: [{ ip: '8.8.8.8' }, { ip: '2001:db8::8' }],
      }),
      webSlice(there),
      sliceObject('web', [ready('fd00:1::2')], { family: 'IPv6', suffix: 'v6' }),
    ],
    table: [
      `TCP ${vip}:80 → 10.0.1.2:80`,
      'TCP 8.8.8.8:80 → 10.0.1.2:80',
      'TCP [2001:db8::8]:80 → [fd00:1::2]:80',
      'TCP [fd00::41]:80 → [fd00:1::2]:80',
    ],
    dummy: [`${vip}/32`, '8.8.8.8/32', '2001:db8::8/128', 'fd00::41/128'],
  },
];

const external = { externalIPs: ['50.60.70.81'] };
const withExternal = [`${vip}/32`, '50.60.70.81/32'];

const policies: readonly Row[] = [
  {
    row: 69,
    claim: 'internalTrafficPolicy Local uses the endpoints of this node',
    given: [web(internalLocal), webSlice(here, there, ready('10.0.1.3'))],
    table: [`TCP ${vip}:80 → 10.0.1.1:80`],
    dummy: [`${vip}/32`],
  },
  {
    row: 70,
    claim: 'and none without one',
    given: [web(internalLocal), webSlice(there)],
    table: [`TCP ${vip}:80 → —`],
    dummy: [`${vip}/32`],
  },
  {
    row: 71,
    claim: 'nor when a node port exposes the Service too, where kube-proxy lets traffic leave the node',
    given: [web({ ...internalLocal, ...nodePort }), webSlice(there)],
    node: eth0,
    table: [`TCP ${vip}:80 → —`, `TCP ${nodeAddress}:3001 → 10.0.1.2:80`],
    dummy: [`${vip}/32`],
  },
  {
    row: 72,
    claim: 'internalTrafficPolicy leaves node ports alone',
    given: [web({ ...internalLocal, ...nodePort }), webSlice(here, there)],
    node: eth0,
    table: [`TCP ${vip}:80 → 10.0.1.1:80`, `TCP ${nodeAddress}:3001 → ${both}`],
    dummy: [`${vip}/32`],
  },
  {
    row: 73,
    claim: 'both policies Local without endpoints: no real servers',
    given: [web({ ...internalLocal, ...externalLocal, ...external })],
    table: [`TCP ${vip}:80 → —`, 'TCP 50.60.70.81:80 → —'],
    dummy: withExternal,
  },
  {
    row: 74,
    claim:
      'both policies Local and no local endpoint: only external traffic falls back, unlike in kube-proxy',
    given: [web({ ...internalLocal, ...externalLocal, ...external }), webSlice(there)],
    table: [`TCP ${vip}:80 → —`, 'TCP 50.60.70.81:80 → 10.0.1.2:80'],
    dummy: withExternal,
  },
  ...([75, 76] as const).map((row) => ({
    row,
    claim: `ready endpoints alone are used while there are some (${row === 75 ? 'Cluster' : 'Local'})`,
    given: [
      web({ ...external, ...(row === 75 ? {} : externalLocal) }),
      webSlice(
        here,
        local(ready('10.0.1.3')),
        local(servingTerminating('10.0.1.4')),
        local(deadTerminating('10.0.1.5')),
        there,
      ),
    ],
    table: [
      `TCP ${vip}:80 → ${both}, 10.0.1.3:80`,
      `TCP 50.60.70.81:80 → ${row === 75 ? `${both}, 10.0.1.3:80` : '10.0.1.1:80, 10.0.1.3:80'}`,
    ],
    dummy: withExternal,
  })),
  {
    row: 77,
    claim: 'with nothing ready those that terminate and still serve are used',
    given: [
      web(external),
      webSlice(
        local(servingTerminating('10.0.1.1')),
        local(servingTerminating('10.0.1.2')),
        servingTerminating('10.0.1.3'),
        deadTerminating('10.0.1.4'),
        notReady('10.0.1.5'),
      ),
    ],
    table: [`TCP ${vip}:80 → ${both}, 10.0.1.3:80`, `TCP 50.60.70.81:80 → ${both}, 10.0.1.3:80`],
    dummy: withExternal,
  },
  {
    row: 78,
    claim: 'cluster and local fall back to terminating endpoints each for itself',
    given: [
      web({ ...external, ...externalLocal }),
      webSlice(
        local(servingTerminating('10.0.1.1')),
        local(servingTerminating('10.0.1.2')),
        servingTerminating('10.0.1.3'),
        ready('10.0.1.4'),
      ),
    ],
    table: [`TCP ${vip}:80 → 10.0.1.4:80`, `TCP 50.60.70.81:80 → ${both}`],
    dummy: withExternal,
  },
  {
    row: 79,
    claim: 'a ready endpoint and a terminating one: the ready one',
    given: [web(), webSlice(ready('10.0.1.1'), servingTerminating('10.0.1.2'))],
    table: [`TCP ${vip}:80 → 10.0.1.1:80`],
    dummy: [`${vip}/32`],
  },
  {
    row: 80,
    claim: 'an endpoint without conditions is ready',
    given: [web(), { ...webSlice(), endpoints: [{ addresses: ['10.0.1.1'] }] }],
    table: [`TCP ${vip}:80 → 10.0.1.1:80`],
    dummy: [`${vip}/32`],
  },
];

/** Endpoints 10.0.1.1, 10.0.1.2, … hinted for the zones, a text of one letter a zone each. */
const inZones = (...zones: readonly string[]): readonly EndpointSpec[] =>
  zones.map((letters, index) => ready(`10.0.1.${index + 1}`, { zones: letters.split('') }));
const onNodes = (...names: readonly string[]): readonly EndpointSpec[] =>
  names.map((name, index) =>
    ready(`10.0.1.${index + 1}`, {
      zones: [index % 2 === 0 ? 'a' : 'b'],
      nodes: name === '' ? [] : [name],
    }),
  );

const topologyRow = (
  row: number,
  claim: string,
  zone: string,
  endpoints: readonly EndpointSpec[],
  chosen: readonly number[],
): Row => ({
  row,
  claim,
  zone,
  given: [web(), webSlice(...endpoints)],
  table: [`TCP ${vip}:80 → ${chosen.map((last) => `10.0.1.${last}:80`).join(', ')}`],
  dummy: [`${vip}/32`],
});

const topology: readonly Row[] = [
  topologyRow(81, 'endpoints hinted for our zone are chosen', 'a', inZones('a', 'b', 'c', 'a'), [1, 4]),
  topologyRow(82, 'a node without a zone uses all', '', inZones('a', 'a'), [1, 2]),
  topologyRow(83, 'where none is hinted for our zone all are used', 'b', inZones('a', 'a'), [1, 2]),
  topologyRow(84, 'one endpoint without hints: all are used', 'a', inZones('a', '', 'b'), [1, 2, 3]),
  topologyRow(
    85,
    'an endpoint may be hinted for several zones',
    'c',
    inZones('abc', 'bc', 'bd', 'c'),
    [1, 2, 4],
  ),
  topologyRow(
    86,
    'hints of endpoints that are not ready do not count',
    'a',
    [
      notReady('10.0.1.1', { zones: ['a'] }),
      ready('10.0.1.2', { zones: ['b'] }),
      ready('10.0.1.3', { zones: ['c'] }),
    ],
    [2, 3],
  ),
  topologyRow(87, 'a hint for our node beats the zone', 'a', onNodes('n1', 'n2', 'n3', 'n4'), [1]),
  topologyRow(
    88,
    'where no hint is for our node the zone decides',
    'a',
    onNodes('n5', 'n2', 'n3', 'n4'),
    [1, 3],
  ),
  topologyRow(
    89,
    'where node hints and a zone hint are missing all are used',
    'a',
    [...onNodes('n1', ''), ready('10.0.1.3', { nodes: ['n3'] })],
    [1, 2, 3],
  ),
  {
    row: 90,
    claim: 'hints play no part for externalTrafficPolicy Local',
    zone: 'a',
    node: eth0,
    given: [
      web({ ...nodePort, ...externalLocal }),
      webSlice(
        ready('10.0.1.1', { on: thisNode, zones: ['a'] }),
        ready('10.0.1.2', { on: thisNode, zones: ['b'] }),
        ready('10.0.1.3', { on: otherNode, zones: ['a'] }),
      ),
    ],
    table: [`TCP ${vip}:80 → 10.0.1.1:80, 10.0.1.3:80`, `TCP ${nodeAddress}:3001 → ${both}`],
    dummy: [`${vip}/32`],
  },
];

const sticky = { sessionAffinity: 'ClientIP' };

const affinity: readonly Row[] = [
  {
    row: 91,
    claim: 'ClientIP affinity is persistence of every virtual server, three hours by default',
    given: [web({ ...sticky, ...nodePort, ...external })],
    node: eth0,
    table: [
      `TCP ${vip}:80 persistent 10800 → —`,
      'TCP 50.60.70.81:80 persistent 10800 → —',
      `TCP ${nodeAddress}:3001 persistent 10800 → —`,
    ],
    dummy: withExternal,
  },
  {
    row: 92,
    claim: 'timeoutSeconds is its time',
    given: [
      web({
        ...sticky,
        ports: ['a:80', 'b:77/UDP'],
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } },
      }),
    ],
    table: [`TCP ${vip}:80 persistent 600 → —`, `UDP ${vip}:77 persistent 600 → —`],
    dummy: [`${vip}/32`],
  },
  ...[undefined, sticky].map((affinity) => ({
    row: 94,
    claim: `mh hashes the port too, ${affinity === undefined ? 'without' : 'with'} affinity`,
    given: [web(affinity)],
    settings: { scheduler: 'mh' },
    table: [`TCP ${vip}:80 mh ${affinity === undefined ? '' : 'persistent 10800 '}mh-port → —`],
    dummy: [`${vip}/32`],
  })),
  {
    row: 95,
    claim: 'sh has no flags',
    given: [web()],
    settings: { scheduler: 'sh' },
    table: [`TCP ${vip}:80 sh → —`],
    dummy: [`${vip}/32`],
  },
];

const slices: readonly Row[] = [
  {
    row: 109,
    claim: 'one endpoint in two slices is one real server',
    given: [web(), webSlice(there), sliceObject('web', [there], { suffix: 'again' })],
    table: [`TCP ${vip}:80 → 10.0.1.2:80`],
    dummy: [`${vip}/32`],
  },
  ...[
    [servingTerminating, ready, deadTerminating],
    [ready, deadTerminating, servingTerminating],
    [deadTerminating, servingTerminating, ready],
  ].map((states, index) => ({
    row: 110,
    claim: `of several records of an endpoint the one that does not terminate counts, in any order (${index + 1})`,
    given: [web(), webSlice(...states.map((state) => state('10.0.1.1')))],
    table: [`TCP ${vip}:80 → 10.0.1.1:80`],
    dummy: [`${vip}/32`],
  })),
  ...[
    ['a', 'b'],
    ['b', 'a'],
  ].map(([first = '', second = '']) => ({
    row: 111,
    claim: `ready in slice ${first} and not ready in slice ${second} is ready: kube-proxy throws dice`,
    given: [
      web(),
      sliceObject('web', [ready('10.0.1.1')], { suffix: first }),
      sliceObject('web', [notReady('10.0.1.1')], { suffix: second }),
    ],
    table: [`TCP ${vip}:80 → 10.0.1.1:80`],
    dummy: [`${vip}/32`],
  })),
  {
    row: 112,
    claim: 'a named port may have another number in each slice',
    given: [
      web({ ports: ['http:80'] }),
      sliceObject('web', [ready('10.0.1.1')], { ports: ['http:8080'], suffix: 'x' }),
      sliceObject('web', [ready('10.0.1.2')], { ports: ['http:9090'], suffix: 'y' }),
    ],
    table: [`TCP ${vip}:80 → 10.0.1.1:8080, 10.0.1.2:9090`],
    dummy: [`${vip}/32`],
  },
  {
    row: 113,
    claim: 'a slice of names beside one of addresses is ignored',
    given: [
      web(),
      webSlice(there),
      sliceObject('web', [ready('a.example')], { family: 'FQDN', suffix: 'names' }),
    ],
    table: [`TCP ${vip}:80 → 10.0.1.2:80`],
    dummy: [`${vip}/32`],
  },
  {
    row: 115,
    claim: 'a slice without the name of its Service is ignored',
    given: [web(), webSlice(there), sliceObject('web', [here], { suffix: 'stray', labels: {} })],
    table: [`TCP ${vip}:80 → 10.0.1.2:80`],
    dummy: [`${vip}/32`],
  },
];

const loopback = ['lo 127.0.0.1/8', 'lo ::1/128'];

for (const { row, claim, given, node = [], zone, table, dummy, problems = [], ...rest } of [
  ...clusterIp,
  ...nodePorts,
  ...externalIps,
  ...loadBalancers,
  ...policies,
  ...topology,
  ...affinity,
  ...slices,
] satisfies readonly Row[])
  test(`${row}: ${claim}`, async () => {
    await using production = await ProductionNode.start({
      facts: nodeFacts([...loopback, ...node], zone),
      settings: settings('settings' in rest ? rest.settings : {}),
    });
    await production.replace(readObjects(given));
    assert.deepEqual(production.lines, table.toSorted());
    assert.deepEqual(production.addresses, dummy.toSorted());
    assert.deepEqual(production.problems, problems);
    assert.deepEqual(await production.resync(), [], 'a second look finds nothing to do');
  });
