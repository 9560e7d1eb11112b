import type { Server } from 'node:http';
import { Backoff } from '../../base/async.js';
import { messageOf } from '../../base/errors.js';
import { families, type Family, type IpAddress } from '../../base/ip.js';
import type { Logger } from '../../base/log.js';
import type { ServiceKey } from '../../model/service.js';
import type { HealthCheckAddresses, ServiceHealthCheck } from '../../plan/render/service-health-check.js';
import type { ChangedHealthChecks } from '../sync/desired-state-updater.js';
import { jsonResponse, serverFor, type HttpResponse } from './http-response.js';
import { closeServer, listen, type ListenAddress } from './listen.js';

export interface ServiceHealthChecksParts {
  /** Whether this proxy is healthy, regardless of the Node. */
  readonly healthy: () => boolean;
  /** Called once when the port of a Service cannot be served, such as when another process uses it. */
  readonly onFailure: (service: ServiceKey, port: number, trouble: string) => void;
  readonly log: Logger;
}

/** The addresses that serve health check ports. */
export type AddressesOf = (family: Family) => HealthCheckAddresses;

const retryDelays = { firstMilliseconds: 1_000, maximumMilliseconds: 60_000 };

/** kube-proxy-ipvs §7.2. */
export const serviceHealthResponse = (
  service: ServiceKey,
  localEndpoints: number,
  healthy: boolean,
): HttpResponse => {
  const [namespace, name] = service.split('/');
  const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy: healthy };
  const {
    status,
    headers,
    body: text,
  } = jsonResponse(JSON.stringify(body, undefined, '\t'), localEndpoints > 0 && healthy ? 200 : 503);
  return {
    status,
    headers: { ...headers, 'X-Load-Balancing-Endpoint-Weight': String(localEndpoints) },
    body: text,
  };
};

const wildcards = { IPv4: '0.0.0.0' as IpAddress, IPv6: '::' as IpAddress };

const hostsOf = (family: Family, addresses: HealthCheckAddresses): readonly IpAddress[] =>
  addresses === 'all' ? [wildcards[family]] : addresses;

/** One address that serves the health check of a Service; it retries until it can listen. */
class Listener {
  readonly #backoff = new Backoff(retryDelays);
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    readonly address: ListenAddress,
    private readonly server: Server,
    private readonly reportResult: (trouble: string | undefined) => void,
  ) {}

  get waiting(): boolean {
    return this.#timer !== undefined;
  }

  async open(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    let failure: string | undefined;
    try {
      await listen(this.server, this.address);
    } catch (error) {
      failure = messageOf(error);
    }
    if (this.#closed) return void this.server.close();
    if (failure !== undefined) this.#timer = setTimeout(() => void this.open(), this.#backoff.next());
    this.reportResult(failure);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    if (this.server.listening) await closeServer(this.server);
  }
}

/** The health check of one Service, on all its addresses. */
class HealthCheck {
  readonly #listeners = new Map<IpAddress, Listener>();
  /** By address, why it cannot be served. */
  readonly #failures = new Map<IpAddress, string>();

  constructor(
    private readonly service: ServiceKey,
    private check: ServiceHealthCheck,
    private readonly parts: ServiceHealthChecksParts,
  ) {}

  get port(): number {
    return this.check.port;
  }

  update(check: ServiceHealthCheck): void {
    this.check = check;
  }

  /** Closes the listeners at other addresses, and returns the new ones. */
  updateListeners(addressesOf: AddressesOf): readonly Listener[] {
    const desired = new Map<IpAddress, Family>();
    for (const family of families)
      if (this.check.localEndpoints[family] !== undefined)
        for (const host of hostsOf(family, addressesOf(family))) desired.set(host, family);
    for (const [host, listener] of this.#listeners)
      if (!desired.has(host)) {
        this.#listeners.delete(host);
        this.#failures.delete(host);
        void listener.close();
      }
    const added = [...desired].filter(([host]) => !this.#listeners.has(host));
    return added.map(([host, family]) => this.#add(host, family));
  }

  /** The listeners that wait for their port. */
  waiting(): readonly Listener[] {
    return [...this.#listeners.values()].filter((listener) => listener.waiting);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#listeners.values()].map((listener) => listener.close()));
  }

  #add(host: IpAddress, family: Family): Listener {
    const { healthy, log } = this.parts;
    const respond = (): HttpResponse =>
      serviceHealthResponse(this.service, this.check.localEndpoints[family] ?? 0, healthy());
    const address = { host, port: this.port, ipv6Only: host === wildcards.IPv6 };
    const listener = new Listener(address, serverFor(respond, log), (trouble) =>
      this.#recordResult(host, trouble),
    );
    this.#listeners.set(host, listener);
    return listener;
  }

  #recordResult(host: IpAddress, failure: string | undefined): void {
    const before = this.#failures.size;
    if (failure === undefined) this.#failures.delete(host);
    else this.#failures.set(host, failure);
    if (before === 0 && failure !== undefined) this.parts.onFailure(this.service, this.port, failure);
    if (before > 0 && this.#failures.size === 0)
      this.parts.log.info(
        { event: 'health-check-served', service: this.service, port: this.port },
        'Health check port of a Service available',
      );
  }
}

/**
 * Serves the health check ports of Services, by which load balancers choose nodes with endpoints (kube-proxy-ipvs §7.2). A
 * port in use is retried with growing delays, and as soon as another Service releases it. Unlike kube-proxy, it follows the
 * addresses of the node.
 */
export class ServiceHealthChecks implements AsyncDisposable {
  readonly #checks = new Map<ServiceKey, HealthCheck>();
  #addresses = '';
  #stopped = false;

  constructor(private readonly parts: ServiceHealthChecksParts) {}

  /** Costs O(changed), and O(all health checks) where addresses changed. */
  update(changed: ChangedHealthChecks, addressesOf: AddressesOf): void {
    if (this.#stopped) return;
    const addresses = JSON.stringify(families.map(addressesOf));
    const moved = addresses !== this.#addresses;
    this.#addresses = addresses;
    // Ports are released first: another Service may need one of them.
    const hasFreedPorts =
      [...changed].filter(([service, check]) => this.#endUnlessOnPort(service, check?.port)).length > 0;
    for (const [service, check] of changed) if (check !== undefined) this.#put(service, check);
    const services = moved ? this.#checks.keys() : changed.keys();
    const toOpen = [...services].flatMap(
      (service) => this.#checks.get(service)?.updateListeners(addressesOf) ?? [],
    );
    const waiting = hasFreedPorts ? [...this.#checks.values()].flatMap((check) => check.waiting()) : [];
    for (const listener of [...toOpen, ...waiting]) void listener.open();
  }

  /** Ends the health check of a Service unless it uses this port. Returns whether it ended one. */
  #endUnlessOnPort(service: ServiceKey, port: number | undefined): boolean {
    const check = this.#checks.get(service);
    if (check === undefined || check.port === port) return false;
    this.#checks.delete(service);
    this.parts.log.debug(
      { event: 'health-check-removed', service, port: check.port },
      'Health check of a Service removed',
    );
    void check.close();
    return true;
  }

  #put(service: ServiceKey, check: ServiceHealthCheck): void {
    const present = this.#checks.get(service);
    if (present !== undefined) return present.update(check);
    this.#checks.set(service, new HealthCheck(service, check, this.parts));
    this.parts.log.debug(
      { event: 'health-check-added', service, port: check.port },
      'Health check of a Service added',
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#checks.values()].map((check) => check.close()));
  }
}
