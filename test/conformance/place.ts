import assert from 'node:assert/strict';
import type { ApiObject } from '../support/api-objects.js';
import {
  deadTerminating,
  local,
  notReady,
  ready,
  serviceObject,
  servingTerminating,
  sliceObject,
  type EndpointSpec,
  type ServiceSpec,
} from '../support/objects.js';
import type { Family } from '../traffic/matrix.js';
import type { Transport } from '../traffic/messages.js';
import type { Position } from '../traffic/network.js';
import { nodeAddresses, podAddresses } from '../traffic/world.js';
import type { Cluster } from './cluster.js';

/**
 * Who asks, and how. Unless told TCP from outside and from a pod, UDP from the node: all positions against all frontends are in
 * test/traffic/matrix.yaml.
 */
export interface Asked {
  readonly from?: readonly Position[];
  readonly by?: readonly Transport[];
}

const askersOf = ({ from, by }: Asked): readonly (readonly [Transport, Position])[] => {
  const [one = 'node'] = from ?? [];
  if (by !== undefined)
    return by.flatMap((each) => (from ?? ['client', 'c']).map((at) => [each, at] as const));
  return [...(from ?? (['client', 'c'] as const)).map((at) => ['tcp', at] as const), ['udp', one] as const];
};

/** Where pods answer. */
const defaultPorts = ['t:8080/TCP', 'u:8080/UDP'] as const;

/** No answer: as for a Service without endpoints, or for an address that no Service has. */
const silences: ReadonlySet<string> = new Set(['refused', 'timeout', 'ENETUNREACH', 'EHOSTUNREACH']);

const states: Readonly<Record<string, (address: string) => EndpointSpec>> = {
  ready,
  unready: notReady,
  terminating: servingTerminating,
  dead: deadTerminating,
  /** As publishNotReadyAddresses has it. */
  published: (address) => ready(address, { terminating: true }),
};

const addressOf = (pod: string, family: Family): string => {
  if (pod === 'node') return nodeAddresses['eth0']?.[family] ?? '';
  assert.ok(pod === 'a' || pod === 'b' || pod === 'x', `no pod ${pod}`);
  return podAddresses[pod][family];
};

/** Words such as `a`, `b/terminating`. All but x are on this node. */
export const endpointsOf = (
  words: string,
  family: Family,
  fields: Partial<EndpointSpec> = {},
): readonly EndpointSpec[] =>
  words
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => {
      const [pod = '', state = 'ready'] = word.split('/');
      const make = states[state];
      assert.ok(make !== undefined, `no state ${state}`);
      const endpoint = { ...make(addressOf(pod, family)), ...fields };
      return pod === 'x' ? endpoint : local(endpoint);
    });

/** Addresses and ports that one Service of one spec has for itself, and what requests to them meet. */
export class Place {
  readonly name: string;
  readonly #had = new Set<string>();

  constructor(
    readonly cluster: Cluster,
    readonly index: number,
    readonly families: readonly Family[] = cluster.families,
    /** The third part of its ClusterIP. */
    readonly range = 40,
  ) {
    this.name = `place-${range}-${index}`;
  }

  /** The same place for another Service, whose ClusterIPs are of another range; both have no node port. */
  inRange(range: number): Place {
    return new Place(this.cluster, this.index, this.families, range);
  }

  /** The same place for a Service of these families. */
  over(families: readonly Family[]): Place {
    return new Place(this.cluster, this.index, families, this.range);
  }

  get nodePort(): number {
    return 30_200 + 2 * this.index;
  }

  get healthPort(): number {
    return 32_200 + this.index;
  }

  addresses(kind: 'cluster-ip' | 'external' | 'load-balancer'): readonly string[] {
    const host = this.index + 1;
    const of = {
      'cluster-ip': { IPv4: `10.96.${this.range}.${host}`, IPv6: `fd00:10:96::${this.range}:${host}` },
      external: { IPv4: `198.51.100.${host}`, IPv6: `2001:db8:198::${host}` },
      'load-balancer': { IPv4: `203.0.113.${host}`, IPv6: `2001:db8:203::${host}` },
    };
    return this.families.map((family) => of[kind][family]);
  }

  /** Where `cluster-ip`, `load-balancer:81`, `node-port@cni0` or `node-port:30005` is. */
  target(frontend: string, family: Family): readonly [string, number] {
    const [place = '', port] = frontend.split(':');
    const [kind = '', link = 'ext0'] = place.split('@');
    if (kind === 'node-port' || kind === 'health')
      return [
        nodeAddresses[link]?.[family] ?? '',
        Number(port ?? (kind === 'health' ? this.healthPort : this.nodePort)),
      ];
    assert.ok(kind === 'cluster-ip' || kind === 'external' || kind === 'load-balancer', frontend);
    return [this.addresses(kind)[this.families.indexOf(family)] ?? '', Number(port ?? 80)];
  }

  /** A Service of TCP and UDP on port 80; `NodePort` and `LoadBalancer` have what belongs to them. */
  service(fields: ServiceSpec = {}): void {
    const { type = 'ClusterIP' } = fields;
    const exposed = type === 'NodePort' || type === 'LoadBalancer';
    const at = exposed ? `@${this.nodePort}` : '';
    this.#put(
      serviceObject(this.name, {
        clusterIPs: this.addresses('cluster-ip'),
        ipFamilies: this.families,
        ports: [`t:80/TCP${at}`, `u:80/UDP${at}`],
        ...(type === 'LoadBalancer' && { ingress: this.addresses('load-balancer').map((ip) => ({ ip })) }),
        ...(fields['externalTrafficPolicy'] === 'Local' && { healthCheckNodePort: this.healthPort }),
        ...fields,
      }),
    );
  }

  endpoints(
    words: string,
    {
      ports = defaultPorts,
      slice = '',
      fields = {},
      labels = {},
    }: { ports?: readonly string[]; slice?: string; fields?: Partial<EndpointSpec>; labels?: object } = {},
  ): void {
    for (const family of this.families)
      this.#put(
        sliceObject(this.name, endpointsOf(words, family, fields), {
          ports,
          family,
          suffix: `${family.toLowerCase()}${slice}`,
          labels: { 'kubernetes.io/service-name': this.name, ...labels },
        }),
      );
  }

  /** Deletes the Service and its slices. */
  remove(): void {
    for (const had of this.#had) {
      const [kind = '', name = ''] = had.split(' ');
      assert.ok(kind === 'Service' || kind === 'EndpointSlice');
      this.cluster.server.delete(kind, `default/${name}`);
    }
    this.#had.clear();
  }

  #put(object: object): void {
    // What serviceObject and sliceObject give.
    const made = object as ApiObject;
    this.#had.add(`${made.kind} ${made.metadata.name}`);
    this.cluster.server.put(made);
  }

  /** Who answered each of so many requests from one position, and whom it saw. */
  async ask(
    from: Position,
    frontend: string,
    family: Family,
    protocol: Transport,
    options: { least?: number; distinct?: number; most?: number; say?: string; from?: number } = {},
  ): Promise<readonly string[]> {
    const [address, port] = this.target(frontend, family);
    const { answers } = await this.cluster.network.ask(from, {
      protocol,
      address,
      port,
      patience: 1_500,
      least: 1,
      distinct: 1,
      most: 1,
      pastTimeout: false,
      ...options,
    });
    return answers;
  }

  /** Waits until requests meet just these: `a x`, `refused`, or `gone`. */
  async meets(frontends: string, expected: string, asked: Asked = {}): Promise<void> {
    for (const [frontend, family, transport, position] of this.#probes(frontends, asked))
      await this.cluster.becomes(async () => {
        const wanted = expected.split(' ');
        const options = { least: wanted.length, distinct: wanted.length, most: 4 * wanted.length };
        const seen = await this.ask(position, frontend, family, transport, options);
        const words = new Set(seen.map((answer) => answer.split(' ')[0] ?? ''));
        const about = `${position} → ${this.name} ${frontend} ${family} ${transport}: ${[...words].join(' ')}`;
        if (expected === 'gone')
          assert.ok(
            [...words].every((word) => silences.has(word)),
            about,
          );
        else assert.deepEqual([...words].toSorted(), wanted.toSorted(), about);
      });
  }

  /** Waits until a client is served by one pod however often it asks, from whatever port. */
  async sticks(frontends: string, asked: Asked = {}): Promise<void> {
    for (const [frontend, family, transport, position] of this.#probes(frontends, asked))
      await this.cluster.becomes(async () => {
        const seen = await this.ask(position, frontend, family, transport, { least: 5, most: 5 });
        const words = new Set(seen.map((answer) => answer.split(' ')[0] ?? ''));
        assert.match([...words].join(' '), /^[abx]$/, `${position} → ${frontend} ${family} ${transport}`);
      });
  }

  #probes(frontends: string, asked: Asked): readonly (readonly [string, Family, Transport, Position])[] {
    return frontends
      .split(' ')
      .flatMap((frontend) =>
        this.families.flatMap((family) =>
          askersOf(asked).map(([transport, position]) => [frontend, family, transport, position] as const),
        ),
      );
  }

  /** Waits until a UDP client that keeps its port is served by this pod. */
  async follows(from: Position, frontend: string, pod: string): Promise<void> {
    for (const family of this.families)
      await this.cluster.becomes(async () => {
        const [answer = ''] = await this.ask(from, frontend, family, 'udp', { from: 7_000 + this.index });
        assert.equal(answer.split(' ')[0], pod, `${from} → ${this.name} ${frontend} ${family}`);
      });
  }
}

export const nodePort = { type: 'NodePort' } as const;
export const balancer = { type: 'LoadBalancer' } as const;
/** From outside, and from a pod that is an endpoint. */
export const here = { from: ['client', 'a'] } as const;

/** One of upstream's specs: its name without the labels, how many places it needs, and what is to hold. */
export interface Spec {
  readonly name: string;
  readonly places?: number;
  /** Whether it says something of dual-stack clusters alone. */
  readonly dualStack?: true;
  readonly run: (place: Place, ...more: readonly Place[]) => Promise<void>;
}
