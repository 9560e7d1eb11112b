import { once } from 'node:events';
import { get } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { BaseError, codeOf, messageOf } from '../../base/errors.js';
import { ephemeralPorts, portsOf, type PortRange, type ProbeTarget } from './probe-target.js';

/** The requests to one target so far. */
export interface ProbeCount {
  readonly target: string;
  readonly requests: number;
  readonly failed: number;
  readonly slowestMilliseconds: number;
}

/** Requests that go on while the proxy changes. */
export interface Probe extends AsyncDisposable {
  readonly counts: readonly ProbeCount[];
  /** The first failures, a sentence each. */
  readonly failures: readonly string[];
  /** Aborted once more requests have failed than are allowed. */
  readonly exceeded: AbortSignal;
}

/** Time between the starts of two requests to one target, milliseconds. */
const interval = 100;
/** A lost first packet is sent again after one second: a request survives the loss of one. */
const requestTimeout = 3_000;
const reportedFailures = 20;

/** The port is in use by another connection of this machine; says nothing about the target. */
const isPortInUse = (error: unknown): boolean =>
  ['EADDRINUSE', 'EADDRNOTAVAIL'].includes(codeOf(error) ?? '');

const requestTcp = async ({ host, port }: ProbeTarget, localPort: number): Promise<void> => {
  const socket = connect({ host, port, localPort });
  const timer = setTimeout(
    () => socket.destroy(new BaseError(`no answer within ${requestTimeout / 1000} s`)),
    requestTimeout,
  );
  try {
    await once(socket, 'connect');
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
};

const requestHttp = ({ url }: ProbeTarget, localPort: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const request = get(url, { agent: false, localPort }, (response) => {
      const { statusCode = 0 } = response;
      response.on('error', reject);
      response.resume().on('end', () => {
        if (statusCode < 500) resolve();
        else reject(new BaseError(`the server answered ${statusCode}`));
      });
    });
    const timer = setTimeout(
      () => request.destroy(new BaseError(`no answer within ${requestTimeout / 1000} s`)),
      requestTimeout,
    );
    request.on('error', reject);
    request.on('close', () => clearTimeout(timer));
  });

/** Sends one request from this port. Rejects with the reason why it failed. */
export type SendProbe = (target: ProbeTarget, localPort: number) => Promise<void>;

const send: SendProbe = (target, localPort) =>
  target.kind === 'tcp' ? requestTcp(target, localPort) : requestHttp(target, localPort);

/** Ports are tried in turn; several in a row may be in use. */
const maximumPortAttempts = 100;

/** Sends requests to one target, one after the other. */
class TargetProbe {
  requests = 0;
  failed = 0;
  slowestMilliseconds = 0;
  #port: number;

  constructor(
    readonly target: ProbeTarget,
    private readonly ports: PortRange,
    private readonly sendProbe: SendProbe,
  ) {
    this.#port = ports.first + Math.floor(Math.random() * (ports.last - ports.first + 1));
  }

  /** The reason if the request failed. */
  async request(): Promise<string | undefined> {
    const startedAt = performance.now();
    const reason = await this.#attempt();
    this.requests += 1;
    this.failed += reason === undefined ? 0 : 1;
    this.slowestMilliseconds = Math.max(this.slowestMilliseconds, Math.round(performance.now() - startedAt));
    return reason;
  }

  async #attempt(): Promise<string | undefined> {
    for (let attempt = 1; ; attempt += 1)
      try {
        this.#port = this.#port >= this.ports.last ? this.ports.first : this.#port + 1;
        await this.sendProbe(this.target, this.#port);
        return undefined;
      } catch (error) {
        if (!isPortInUse(error) || attempt >= maximumPortAttempts) return messageOf(error);
      }
  }
}

export interface ProbeOptions {
  readonly maximumFailures: number;
  readonly send?: SendProbe;
}

/** Sends a request to each target and returns those that answer. */
export const answeringTargets = async (
  targets: readonly ProbeTarget[],
  sendProbe: SendProbe = send,
): Promise<readonly ProbeTarget[]> => {
  const ports = ephemeralPorts();
  const reasons = await Promise.all(
    targets.map((target, index) =>
      new TargetProbe(target, portsOf(ports, index, targets.length), sendProbe).request(),
    ),
  );
  return targets.filter((_, index) => reasons[index] === undefined);
};

/** Starts requests to these targets. They end with its disposal. */
export const startProbe = (
  targets: readonly ProbeTarget[],
  { maximumFailures, send: sendProbe = send }: ProbeOptions,
): Probe => {
  const range = ephemeralPorts();
  const probes = targets.map(
    (target, index) => new TargetProbe(target, portsOf(range, index, targets.length), sendProbe),
  );
  const ending = new AbortController();
  const exceeded = new AbortController();
  const failures: string[] = [];
  const failedRequests = (): number => probes.reduce((sum, { failed }) => sum + failed, 0);
  const run = async (probe: TargetProbe): Promise<void> => {
    while (!ending.signal.aborted) {
      const pause = delay(interval, undefined, { signal: ending.signal }).catch(() => undefined);
      const reason = await probe.request();
      if (reason !== undefined && failures.length < reportedFailures)
        failures.push(`${new Date().toISOString()} ${probe.target.url}: ${reason}`);
      if (failedRequests() > maximumFailures) exceeded.abort();
      await pause;
    }
  };
  const running = Promise.all(probes.map(run));
  return {
    get counts() {
      return probes.map(({ target, requests, failed, slowestMilliseconds }) => ({
        target: target.url,
        requests,
        failed,
        slowestMilliseconds,
      }));
    },
    failures,
    exceeded: exceeded.signal,
    [Symbol.asyncDispose]: async () => {
      ending.abort();
      await running;
    },
  };
};
