import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClusterNetwork } from './cluster-network.js';
import { DaemonProcess, eventually } from './daemon-process.js';
import { local, ready, serviceObject, sliceObject, thisNode } from './objects.js';
import { SteadyRequests } from './steady-requests.js';

const ports = ['http:8080/TCP'];
const endpointsOf = (name: string): object => sliceObject(name, [ready('10.244.0.11')], { ports });

/** A setting of KubeIpvsConfiguration that changes while clients send requests. */
export interface SettingUnderRequests<Value> {
  /** What the clients ask for, over IPv4 and IPv6. */
  readonly urls: readonly [string, string];
  /** What the Service `web` has beside its addresses, and the Services beside it. */
  readonly web: Parameters<typeof serviceObject>[1];
  readonly others: Readonly<Record<string, Parameters<typeof serviceObject>[1]>>;
  /** The setting as a line of the configuration. */
  readonly line: (value: Value) => string;
  /** Throws until the kernel is as the value says. */
  readonly check: (value: Value) => void;
  readonly first: Value;
  /** The values that follow while the daemon runs, and those that follow while it is away. */
  readonly inPlace: readonly Value[];
  readonly byRestarts: readonly Value[];
}

const worldOf = ({ web, others }: Pick<SettingUnderRequests<unknown>, 'web' | 'others'>): string => {
  const clusterIPs = ['10.96.0.10', 'fd00:96::10'];
  const items = [
    serviceObject('web', { clusterIPs, ipFamilies: ['IPv4', 'IPv6'], ...web }),
    sliceObject('web', [local(ready('10.244.0.11')), local(ready('10.244.0.12'))], { ports }),
    sliceObject('web', [local(ready('fd00:244::11')), local(ready('fd00:244::12'))], {
      ports,
      family: 'IPv6',
      suffix: 'v6',
    }),
    ...Object.entries(others).flatMap(([name, spec]) => [serviceObject(name, spec), endpointsOf(name)]),
  ];
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
};

/** The daemon on the node, with the files that it reads. */
class ConfiguredNode<Value> implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'setting-'));
  readonly #manifest = join(this.#folder, 'world.json');
  readonly #config = join(this.#folder, 'own.yaml');
  readonly #logs: string[] = [];
  #daemon: DaemonProcess | undefined;

  constructor(private readonly setting: SettingUnderRequests<Value>) {
    writeFileSync(this.#manifest, worldOf(setting));
  }

  /** The logs of all processes. */
  get log(): string {
    return [...this.#logs, this.#daemon?.log ?? ''].join('\n');
  }

  /** Starts the daemon where it does not run, and waits until the value is in force. */
  async take(value: Value): Promise<void> {
    const header = 'apiVersion: kube-ipvs.dev/v1alpha1\nkind: KubeIpvsConfiguration\n';
    writeFileSync(`${this.#config}.next`, `${header}${this.setting.line(value)}\n`);
    renameSync(`${this.#config}.next`, this.#config);
    this.#daemon ??= new DaemonProcess(
      [
        `--source=${this.#manifest}`,
        `--config=${this.#config}`,
        `--hostname-override=${thisNode}`,
        '--cluster-cidr=10.244.0.0/16,fd00:244::/64',
      ],
      { namespace: 'node' },
    );
    await eventually(() => this.setting.check(value)).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.log}`, { cause: error });
    });
  }

  async stop(): Promise<void> {
    const daemon = this.#daemon;
    assert.equal(await daemon?.stop(), 0, this.log);
    this.#logs.push(daemon?.log ?? '');
    this.#daemon = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon?.[Symbol.asyncDispose]();
  }
}

/** Takes the values one after the other. No request from outside, from pods or from the node may fail, and open connections stay. */
export const changeUnderRequests = async <Value>(setting: SettingUnderRequests<Value>): Promise<void> => {
  const { urls, first, inPlace, byRestarts } = setting;
  await using _network = await ClusterNetwork.up(2);
  await using node = new ConfiguredNode(setting);
  await node.take(first);
  using stack = new DisposableStack();
  const clientsIn = (namespaces: readonly string[], asked: readonly string[]): readonly SteadyRequests[] =>
    namespaces.map((namespace) => stack.use(new SteadyRequests(namespace, asked)));
  const clients = [...clientsIn(['client', 'pod1'], urls), ...clientsIn(['node', 'pod2'], urls.toReversed())];
  for (const value of inPlace) await node.take(value);
  for (const value of byRestarts) {
    await node.stop();
    await node.take(value);
  }
  await node.stop();
  for (const { requests, held, failures } of await Promise.all(clients.map((client) => client.end()))) {
    assert.equal(failures.length, 0, [...failures, node.log].join('\n'));
    assert.ok(requests > 50 && held > 25, `only ${requests} requests`);
  }
};
