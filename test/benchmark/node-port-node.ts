// Runs in a network namespace of the lab: serves node ports with or without nodePorts.sharing, adds one more address to the node,
// and prints one line of JSON (NodePortFill of node-port-report.ts). What it programmed stays.
// Arguments: SHARING PORTS ADDRESS… SERVER, where the first ADDRESS is the one that is added later.
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { nodePortMark } from '../../src/model/firewall-mark.js';
import { virtualServerKey } from '../../src/model/virtual-server.js';
import { nodePortAddressElement } from '../../src/plan/packet-rules/packet-elements.js';
import { startInProcess } from '../support/in-process-daemon.js';
import { runLine } from '../support/lab-guest.js';
import { ip, ready, service, slice } from '../support/objects.js';
import { firstNodePort, type NodePortFill } from './node-port-report.js';

const [sharing = '', ports = '', added = '', server = ''] = process.argv.slice(2);
const nodePortSharing = sharing === 'true';
// Each Service has the same node port for TCP and for UDP.
const services = Array.from({ length: Number(ports) / 2 }, (_, index) => ({
  name: `service-${index}`,
  clusterIP: `10.96.${index >> 8}.${index & 255}`,
  nodePort: firstNodePort + index,
}));
const lastPort = firstNodePort + services.length - 1;

/** Memory of the kernel for small objects and for counters of each CPU, in megabytes. */
const kernelMegabytes = (): number =>
  ['Slab', 'Percpu', 'VmallocUsed'].reduce((sum, name) => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/meminfo', 'utf8'));
    return sum + Number(found?.[1] ?? 0) / 1024;
  }, 0);

const daemon = await startInProcess('--ipvs-sync-period=1h', '--cluster-cidr=10.244.0.0/16');
daemon.settings.replace({ ...daemon.settings.now, nodePortSharing });
const { store, syncLoop, observed } = daemon.wired;

const fill = async (): Promise<number> => {
  const started = performance.now();
  const first = syncLoop.start();
  const all = services.map(({ name, clusterIP, nodePort }) =>
    service(name, {
      type: 'NodePort',
      clusterIP,
      ports: [`http:80@${nodePort}`, `dns:53/UDP@${nodePort}`],
    }),
  );
  const slices = services.map(({ name }) =>
    slice(name, [ready(server)], { ports: ['http:8080', 'dns:8080/UDP'] }),
  );
  store.replace('services', new Map(all.map((each) => [each.key, each])));
  store.replace('endpointSlices', new Map(slices.map((each) => [each.key, each])));
  const { failed } = await first;
  if (failed > 0) throw new Error(`${failed} operations failed`);
  return (performance.now() - started) / 1e3;
};

/** Whether the last node port is served on the address that was added. */
const isAdded = (): boolean => {
  if (nodePortSharing) return observed.element(nodePortAddressElement(ip(added)).key) !== undefined;
  const identity = { by: 'address', protocol: 'UDP', address: ip(added), port: lastPort } as const;
  return (observed.virtualServer(virtualServerKey(identity))?.realServers.size ?? 0) > 0;
};

const addAddress = async (): Promise<number> => {
  const started = performance.now();
  runLine(`ip address add ${added}/32 dev lo`);
  while (!isAdded()) await sleep(5);
  return (performance.now() - started) / 1e3;
};

const countObjects = (): Pick<NodePortFill, 'virtualServers' | 'realServers' | 'elements'> => {
  const { virtualServers, elements } = observed.keys();
  const realServers = [...virtualServers].map((key) => observed.virtualServer(key)?.realServers.size ?? 0);
  return {
    virtualServers: virtualServers.size,
    realServers: realServers.reduce((sum, size) => sum + size, 0),
    elements: elements.size,
  };
};

const kernelBefore = kernelMegabytes();
const fullSyncSeconds = await fill();
const kernel = kernelMegabytes() - kernelBefore;
const objects = countObjects();
const messages = daemon.messages();
const addressSeconds = await addAddress();
const addressMessages = daemon.messages() - messages;
globalThis.gc?.();
const residentMegabytes = process.memoryUsage().rss / 1e6;
const isMarked = observed.virtualServer(
  virtualServerKey({
    by: 'fwmark',
    fwmark: nodePortMark({ protocol: 'UDP', port: lastPort }),
    family: 'IPv4',
  }),
);
if ((isMarked !== undefined) !== nodePortSharing) throw new Error('the setting has no effect');
process.stdout.write(
  `${JSON.stringify({ ...objects, fullSyncSeconds, kernelMegabytes: kernel, residentMegabytes, addressSeconds, addressMessages } satisfies NodePortFill)}\n`,
);
await daemon[Symbol.asyncDispose]();
process.exit(0);
