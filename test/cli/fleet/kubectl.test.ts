import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { kubeconfigFile } from '../../support/kubeconfig.js';
import { main } from '../../support/program.js';
import { SimulatedFleet } from '../../support/simulated-fleet.js';

// A real kubectl: what it runs in a pod of the test API server ends as on a cluster, so that the server speaks the protocol; and it
// finds the plugin.

const tool = fileURLToPath(new URL('../../../../scripts/cluster-tool', import.meta.url));

interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const kubectl = (args: readonly string[], environment: NodeJS.ProcessEnv): Promise<Ended> =>
  new Promise((resolve) => {
    const env = { ...process.env, ...environment };
    execFile(tool, ['kubectl', ...args], { env }, (error, stdout, stderr) =>
      resolve({ status: Number(error?.code ?? 0), stdout, stderr }),
    );
  });

// What the first call says while it installs kubectl is no output of kubectl.
before(() => kubectl(['version', '--client'], {}));

test('kubectl runs a command in a pod of the test API server, and gets its output and exit status', async () => {
  await using fleet = await SimulatedFleet.start(['node-1'], {
    override: (_, { command }) =>
      command[1] === 'fail' ? { stdout: 'out\n', stderr: 'err\n', exitCode: 7 } : undefined,
  });
  const KUBECONFIG = kubeconfigFile(fleet.api.url, {});
  const exec = ['-n', 'kube-system', 'exec', 'kube-ipvs-node-1', '-c', 'kube-ipvs', '--', 'kube-ipvs'];
  const failed = await kubectl([...exec, 'fail'], { KUBECONFIG });
  assert.deepEqual(failed, {
    status: 7,
    stdout: 'out\n',
    stderr: 'err\ncommand terminated with exit code 7\n',
  });
  const { status, stdout } = await kubectl([...exec, 'status'], { KUBECONFIG });
  assert.equal(status, 0);
  assert.equal((JSON.parse(stdout) as { node: string }).node, 'node-1');
});

test('kubectl kube-ipvs is the plugin', async () => {
  await using fleet = await SimulatedFleet.start(['node-1', 'node-2']);
  const folder = mkdtempSync(join(tmpdir(), 'kubectl-path-'));
  symlinkSync(main, join(folder, 'kubectl-kube_ipvs'));
  const environment = {
    KUBECONFIG: kubeconfigFile(fleet.api.url, {}),
    PATH: [folder, process.env['PATH']].join(delimiter),
  };
  const { status, stdout, stderr } = await kubectl(['kube-ipvs', 'status'], environment);
  assert.match(stdout, /\n2 nodes: 2 healthy\n$/, stderr);
  assert.equal(status, 0);
});
