import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AdminClient } from '../../src/cli/admin/admin-client.js';
import { ClusterNetwork, type Position } from './cluster-network.js';
import { DaemonProcess, eventually } from './daemon-process.js';
import { runLine, savedTable } from './lab-guest.js';
import { ready, serviceObject, sliceObject, type ServiceSpec } from './objects.js';
import { SingleSocketClient } from './single-socket-client.js';
import { elapse } from './virtual-clock.js';

export const vip = '10.96.0.10';
export const second = 1_000;
export const minute = 60 * second;

export const pod = (number: number): string => `10.244.0.1${number}`;

/** A Service `web` with these pods. */
export const web = (pods: readonly number[], fields: ServiceSpec = {}): readonly object[] => {
  const spec = { clusterIPs: [vip], ports: ['http:80/TCP'], ...fields };
  const ports = spec.ports.map((text) => text.replace(/:\d+\//, ':8080/'));
  return [
    serviceObject('web', spec),
    sliceObject(
      'web',
      pods.map((number) => ready(pod(number))),
      { ports },
    ),
  ];
};

/** A node with a daemon that follows a file, two pods by default, and clients that keep what they have opened. */
export class DrainLab {
  readonly admin: AdminClient;
  readonly #manifest: string;
  /** The path of the daemon's admin socket. */
  readonly socket: string;
  readonly #clients: SingleSocketClient[] = [];
  network!: ClusterNetwork;
  daemon!: DaemonProcess;

  /** `flags`: more flags of the daemon. */
  constructor(
    private readonly flags: readonly string[] = [],
    private readonly pods = 2,
  ) {
    const folder = mkdtempSync(join(tmpdir(), 'draining-'));
    this.#manifest = join(folder, 'world.json');
    this.socket = join(folder, 'run/admin.sock');
    this.admin = new AdminClient(this.socket);
  }

  async up(): Promise<void> {
    this.network = await ClusterNetwork.up(this.pods);
    this.program([]);
    this.start();
  }

  start(): void {
    this.daemon = new DaemonProcess(
      [
        `--source=${this.#manifest}`,
        '--ipvs-min-sync-period=0s',
        '--hostname-override=n1',
        `--admin-socket=${this.socket}`,
        ...this.flags,
      ],
      { namespace: 'node' },
    );
  }

  async stop(): Promise<void> {
    assert.equal(await this.daemon.stop(), 0, this.daemon.log);
  }

  /** Lets clients go. */
  async leave(): Promise<void> {
    for (const client of this.#clients.splice(0)) await client[Symbol.asyncDispose]();
  }

  /** Lets Services go too, and waits until nothing is left of them. */
  async clear(): Promise<void> {
    await this.leave();
    this.program([]);
    await this.isGone('-a', 5 * minute);
  }

  async down(): Promise<void> {
    await this.stop();
    await this.network[Symbol.asyncDispose]();
  }

  /** Puts the objects in the place of those before. */
  program(items: readonly object[]): void {
    writeFileSync(`${this.#manifest}.next`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    renameSync(`${this.#manifest}.next`, this.#manifest);
  }

  async holds(line: string): Promise<void> {
    await eventually(() => {
      const table = savedTable('node');
      assert.ok(table.includes(line), this.#state(line, table));
    });
  }

  #state(what: string, table: readonly string[]): string {
    return [what, ...table, this.daemon.log].join('\n');
  }

  /** Every look starts programs, which takes real time: for a long wait look seldom. */
  async isGone(text: string, milliseconds = 40 * second): Promise<void> {
    const deadline = performance.now() + milliseconds;
    for (;;) {
      const table = savedTable('node');
      if (!table.some((line) => line.includes(text))) return;
      assert.ok(performance.now() < deadline, this.#state(text, table));
      await elapse(milliseconds / 40);
    }
  }

  rules(): string {
    return runLine('ip netns exec node nft list table ip kube-ipvs');
  }

  /** A client that is asked nothing yet. */
  client(
    kind: 'tcp' | 'udp' | 'sctp',
    address: string,
    port: number,
    from: Position = 'client',
  ): SingleSocketClient {
    const client = new SingleSocketClient(from, kind, address, port);
    this.#clients.push(client);
    return client;
  }

  async connect(address: string, port: number, from: Position = 'client'): Promise<SingleSocketClient> {
    const client = this.client('tcp', address, port, from);
    await this.answers(client);
    return client;
  }

  /** Sends a request on the client's connection, and expects an answer of a pod. */
  async answers(client: SingleSocketClient): Promise<void> {
    const before = client.lines.length;
    client.ask();
    await eventually(() => assert.equal(client.lines.length, before + 1));
    assert.match(client.last, /^pod\d$/, this.daemon.log);
  }

  isRefused(address: string, port: number): void {
    assert.deepEqual(this.network.ask('client', 'tcp', address, port, 1), ['ECONNREFUSED']);
  }
}
