import assert from 'node:assert/strict';
import { eventually, DaemonProcess } from '../support/daemon-process.js';
import type { ApiObject } from '../support/api-objects.js';
import { ApiServer } from '../support/api-server.js';
import { runLine } from '../support/lab-guest.js';
import { linkNode } from '../support/link-node.js';
import { thisNode } from '../support/objects.js';
import type { Family } from '../traffic/matrix.js';
import { TwoNodeNetwork } from '../traffic/network.js';

/** Kinds of clusters, by their families, the first one first. */
export const kinds = {
  'dual-stack': ['IPv4', 'IPv6'],
  'IPv6 single-stack': ['IPv6'],
} as const satisfies Readonly<Record<string, readonly Family[]>>;
export type ClusterKind = keyof typeof kinds;

const podNetworks = { IPv4: '10.128.0.0/16', IPv6: 'fd00:10:128::/48' } as const;
const podCidrs = { IPv4: '10.128.1.0/24', IPv6: 'fd00:10:128:1::/64' } as const;
const internalAddresses = { IPv4: '10.200.0.2', IPv6: 'fd00:200::2' } as const;

/** A guest may have little of a busy machine, and all specs run at once. */
const patienceMilliseconds = 120_000;

export const thisZone = 'zone-a';

const nodeObject = (families: readonly Family[]): ApiObject => ({
  kind: 'Node',
  metadata: { name: thisNode, labels: { 'topology.kubernetes.io/zone': thisZone } },
  spec: { podCIDR: podCidrs[families[0] ?? 'IPv6'], podCIDRs: families.map((family) => podCidrs[family]) },
  status: {
    addresses: families.map((family) => ({ type: 'InternalIP', address: internalAddresses[family] })),
  },
});

/** The API server is where the test runs, outside of the cluster, and reached over IPv6. */
const serverAddress = 'fd00:198::1';

/** A node that kube-ipvs serves, its pods and a second node, behind an API server. */
export class Cluster implements AsyncDisposable {
  private constructor(
    readonly kind: ClusterKind,
    readonly network: TwoNodeNetwork,
    readonly server: ApiServer,
    readonly daemon: DaemonProcess,
  ) {}

  get families(): readonly Family[] {
    return kinds[this.kind];
  }

  static async up(kind: ClusterKind): Promise<Cluster> {
    const families: readonly Family[] = kinds[kind];
    const network = await TwoNodeNetwork.up([]);
    if (!families.includes('IPv4'))
      for (const namespace of ['client', 'node', 'a', 'b', 'c', 'x'])
        runLine(`ip -n ${namespace} -4 address flush scope global`);
    linkNode(`${serverAddress}/64`, 'fd00:198::2/64');
    const server = await ApiServer.start({ host: serverAddress });
    server.put(nodeObject(families));
    const daemon = new DaemonProcess(
      [
        `--master=http://[${serverAddress}]:${server.port}`,
        `--hostname-override=${thisNode}`,
        `--cluster-cidr=${families.map((family) => podNetworks[family]).join(',')}`,
        '--ipvs-min-sync-period=0s',
        '--healthz-bind-address=[::]:10256',
      ],
      { namespace: 'node' },
    );
    const cluster = new Cluster(kind, network, server, daemon);
    await cluster.becomes(async () => assert.ok(server.openStreams >= 3, 'the daemon does not follow yet'));
    return cluster;
  }

  /** As `eventually`; what the daemon said last is with the failure. */
  async becomes(check: () => Promise<void>): Promise<void> {
    try {
      await eventually(check, patienceMilliseconds);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.daemon.log.slice(-1_500)}`, { cause: error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const status = await this.daemon.stop();
    await this.server[Symbol.asyncDispose]();
    runLine('ip link delete link0');
    await this.network[Symbol.asyncDispose]();
    if (status !== 0) throw new Error(`the daemon ended with ${status}\n${this.daemon.log.slice(-3_000)}`);
  }
}
