// An API server in a process of its own, whose EndpointSlices change at a steady rate. Arguments: SERVICES ENDPOINTS CHANGES, the
// last one how many endpoints of a slice change at once. Prints its URL. Input: `churn PER_SECOND SECONDS`, answered by a line of
// JSON: {"changes", "seconds"}; `wanted`, answered by a line of JSON: the addresses of ready endpoints, by ClusterIP.
import { createInterface } from 'node:readline';
import { ApiServer } from '../support/api-server.js';
import type { ApiObject } from '../support/api-objects.js';
import { ready, serviceObject, servingTerminating, sliceObject } from '../support/objects.js';
import { Random } from '../support/random.js';

const [services = 1_000, endpoints = 10, together = 1] = process.argv.slice(2).map(Number);

/** An endpoint is ready, then terminating, then gone, then ready again. */
const states = ['ready', 'terminating', 'gone'] as const;
const stateOf = Array.from({ length: services }, () => new Uint8Array(endpoints));
const random = new Random(1);

const part = (index: number): string => `${index >> 8}.${index & 255}`;
const addressOf = (service: number, endpoint: number): string => `10.${128 + endpoint}.${part(service)}`;

const endpointsOf = (service: number, state: (typeof states)[number]): readonly string[] =>
  [...(stateOf[service] ?? [])].flatMap((index, endpoint) =>
    states[index] === state ? [addressOf(service, endpoint)] : [],
  );

const slice = (service: number): ApiObject =>
  sliceObject(
    `service-${service}`,
    [
      ...endpointsOf(service, 'ready').map((address) => ready(address)),
      ...endpointsOf(service, 'terminating').map((address) => servingTerminating(address)),
    ],
    { ports: [':8080'] },
  ) as ApiObject;

const clusterIp = (service: number): string => `10.96.${part(service)}`;

const server = await ApiServer.start();
server.put({ kind: 'Node', metadata: { name: 'n1' }, status: { addresses: [] } });
for (let service = 0; service < services; service += 1)
  server.put(
    serviceObject(`service-${service}`, { clusterIP: clusterIp(service) }) as ApiObject,
    slice(service),
  );

const changeOne = (): void => {
  const service = random.below(services);
  const own = stateOf[service] ?? new Uint8Array();
  for (let count = 0; count < together; count += 1) {
    const endpoint = random.below(endpoints);
    own[endpoint] = ((own[endpoint] ?? 0) + 1) % states.length;
  }
  server.put(slice(service));
};

const tickMilliseconds = 10;

const churn = (perSecond: number, seconds: number): Promise<object> =>
  new Promise((resolve) => {
    const began = performance.now();
    let changes = 0;
    const timer = setInterval(() => {
      const passed = Math.min((performance.now() - began) / 1_000, seconds);
      for (; changes < passed * perSecond; changes += together) changeOne();
      if (passed < seconds) return;
      clearInterval(timer);
      // History is for those who come late; nobody does.
      server.compact();
      resolve({ changes, seconds: (performance.now() - began) / 1_000 });
    }, tickMilliseconds);
  });

const wanted = (): object =>
  Object.fromEntries(
    stateOf.map((_, service) => {
      const ready = endpointsOf(service, 'ready');
      // Where nobody is ready, those that terminate serve on.
      return [clusterIp(service), ready.length > 0 ? ready : endpointsOf(service, 'terminating')];
    }),
  );

process.stdout.write(`${server.url}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...numbers] = line.split(' ');
  const [perSecond = 0, seconds = 0] = numbers.map(Number);
  const answer = command === 'churn' ? await churn(perSecond, seconds) : wanted();
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit();
