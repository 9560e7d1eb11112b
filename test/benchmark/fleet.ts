// Measures `kubectl kube-ipvs status` and `explain` over many simulated nodes behind the test API server, over TLS and WebSockets. A
// command in a pod takes so long as given. Prints JSON. Arguments: NODES MILLISECONDS.
import { execFile } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createAuthority, createCertificate } from '../support/certificates.js';
import { kubeconfigFile } from '../support/kubeconfig.js';
import { main } from '../support/program.js';
import { simulatedBackends, SimulatedFleet } from '../support/simulated-fleet.js';

const [count = 1_000, milliseconds = 100] = process.argv.slice(2).map(Number);
const nodes = Array.from({ length: count }, (_, index) => `node-${index + 1}`);

const authority = createAuthority('benchmark');
const { certificate: cert, key } = createCertificate(authority, 'api server');
const [one = '', , three = ''] = simulatedBackends;

await using fleet = await SimulatedFleet.start(nodes, {
  tls: { cert, key },
  token: 'secret',
  states: { 'node-7': { kernel: { [one]: 1, [three]: 1 } } },
  delay: () => pause(milliseconds),
});
const kubeconfig = kubeconfigFile(
  fleet.api.url,
  { token: 'secret' },
  { 'certificate-authority-data': Buffer.from(authority.certificate).toString('base64') },
);

/** Makes the measured process print its processor time, microseconds. */
const printUsage = `data:text/javascript,process.on('exit',()=>{const{user,system}=process.cpuUsage();console.error('cpu '+(user+system))})`;

const measure = async (...words: readonly string[]) => {
  const startedAt = performance.now();
  const { stdout, stderr, code } = await promisify(execFile)(
    process.execPath,
    ['--import', printUsage, main, 'fleet', ...words, '--kubeconfig', kubeconfig],
    { maxBuffer: 1 << 28 },
  ).then(
    (result) => ({ ...result, code: 0 }),
    (error: { readonly stdout: string; readonly stderr: string; readonly code: number }) => error,
  );
  const seconds = Math.round(performance.now() - startedAt) / 1_000;
  const processorSeconds = Number(/cpu (\d+)/.exec(stderr)?.[1]) / 1e6;
  return { seconds, processorSeconds, exitStatus: code, lines: stdout.split('\n').length };
};

const status = await measure('status');
const explain = await measure('explain', 'shop/web');
console.log(
  JSON.stringify({ nodes: count, milliseconds, status, explain, connections: fleet.api.connectionCount }),
);
