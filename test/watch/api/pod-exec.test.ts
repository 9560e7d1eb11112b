import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ApiError } from '../../../src/watch/api/api-client.js';
import { PodExec, type PodCommandOptions } from '../../../src/watch/api/pod-exec.js';
import { loadCredentials } from '../../../src/watch/api/credentials.js';
import type { ExecHandler, ExecRequest } from '../../support/api-exec.js';
import { ApiServer } from '../../support/api-server.js';
import { createAuthority, createCertificate } from '../../support/certificates.js';
import { kubeconfigFile } from '../../support/kubeconfig.js';

const command = {
  namespace: 'kube-system',
  pod: 'p-1',
  container: 'c',
  command: ['kube-ipvs', 'status', '-o', 'json'],
};

const runOn = async (
  server: ApiServer,
  options: Partial<PodCommandOptions> = {},
  user: object = { token: 't' },
) => {
  const exec = new PodExec(loadCredentials({ kubeconfig: kubeconfigFile(server.url, user) }));
  return exec.run(command, { signal: AbortSignal.timeout(30_000), ...options });
};

const withHandler = async <Result>(
  exec: ExecHandler,
  use: (server: ApiServer) => Promise<Result>,
): Promise<Result> => {
  await using server = await ApiServer.start({ exec, token: 't' });
  return await use(server);
};

test('a command gets its words and container; output, errors and the exit status come back', async () => {
  let seen: ExecRequest | undefined;
  const long = 'ä'.repeat(100_000);
  const result = await withHandler(
    (request) => {
      seen = request;
      return { stdout: long, stderr: 'warning', exitCode: 3 };
    },
    (server) => runOn(server),
  );
  assert.deepEqual(result, { stdout: long, stderr: 'warning', exitCode: 3 });
  assert.deepEqual([seen?.namespace, seen?.pod, seen?.container, seen?.command], Object.values(command));
  assert.deepEqual(
    await withHandler(
      () => ({}),
      (server) => runOn(server),
    ),
    { stdout: '', stderr: '', exitCode: 0 },
  );
});

test('TLS and the credentials of the kubeconfig are used', async () => {
  const authority = createAuthority('test authority');
  const { certificate: cert, key } = createCertificate(authority, 'api server');
  await using server = await ApiServer.start({
    tls: { cert, key },
    token: 't',
    exec: () => ({ stdout: 'ok' }),
  });
  const ca = Buffer.from(authority.certificate).toString('base64');
  const run = (token: string, cluster: object) =>
    new PodExec(loadCredentials({ kubeconfig: kubeconfigFile(server.url, { token }, cluster) })).run(
      command,
      {
        signal: AbortSignal.timeout(30_000),
      },
    );
  assert.equal((await run('t', { 'certificate-authority-data': ca })).stdout, 'ok');
  await assert.rejects(run('wrong', { 'certificate-authority-data': ca }), { status: 401 });
  await assert.rejects(run('t', {}), /unable to verify|self-signed|issuer certificate/);
});

test('a refusal of the API server is an ApiError with its message', async () => {
  const message = 'pods "p-1" is forbidden: User "jane" cannot create resource "pods/exec"';
  const refused = { code: 403, reason: 'Forbidden', message };
  await assert.rejects(
    withHandler(
      () => ({ refused }),
      (server) => runOn(server),
    ),
    (error) => error instanceof ApiError && error.status === 403 && error.message === message,
  );
});

test('a cut connection, a failure of the runtime and silence are errors', async () => {
  await assert.rejects(
    withHandler(
      () => 'cut',
      (server) => runOn(server),
    ),
    /closed before the command had ended/,
  );
  await assert.rejects(
    withHandler(
      () => ({ failure: 'container not found ("c")' }),
      (server) => runOn(server),
    ),
    /^BaseError: container not found/,
  );
  await assert.rejects(
    withHandler(
      () => 'no-answer',
      (server) => runOn(server, { signal: AbortSignal.timeout(200) }),
    ),
    { name: 'TimeoutError' },
  );
});

test('output can be read while the command runs, and ends where its reader fails', async () => {
  const chunks: string[] = [];
  const result = await withHandler(
    ({ write }) => {
      write('one\n');
      return { stdout: 'two\n' };
    },
    (server) => runOn(server, { onOutput: (chunk) => void chunks.push(chunk.toString()) }),
  );
  assert.deepEqual([chunks.join(''), result.stdout], ['one\ntwo\n', '']);
  const fail = (): never => {
    throw new SyntaxError('not JSON');
  };
  await assert.rejects(
    withHandler(
      () => ({ stdout: 'x' }),
      (server) => runOn(server, { onOutput: fail }),
    ),
    /not JSON/,
  );
});

test('credentials that were renewed meanwhile are read again', async () => {
  let token = 'old';
  await using server = await ApiServer.start({ token: () => token, exec: () => ({ stdout: 'ok' }) });
  const tokenFile = join(mkdtempSync(join(tmpdir(), 'pod-exec-')), 'token');
  writeFileSync(tokenFile, token);
  const exec = new PodExec(loadCredentials({ kubeconfig: kubeconfigFile(server.url, { tokenFile }) }));
  const run = () => exec.run(command, { signal: AbortSignal.timeout(30_000) });
  assert.equal((await run()).stdout, 'ok');
  token = 'new';
  await assert.rejects(run(), { status: 401 });
  writeFileSync(tokenFile, token);
  assert.equal((await run()).stdout, 'ok');
});
