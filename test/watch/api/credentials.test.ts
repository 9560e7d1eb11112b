import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { InputError } from '../../../src/base/errors.js';
import { ApiClient } from '../../../src/watch/api/api-client.js';
import { loadCredentials, type CredentialOptions } from '../../../src/watch/api/credentials.js';
import { ApiServer, type ApiServerOptions } from '../../support/api-server.js';
import { sampleNode, sampleService, sampleSlice } from '../../support/api-samples.js';
import { createAuthority, createCertificate } from '../../support/certificates.js';
import { converged, follow, until } from '../follower.js';

const authority = createAuthority('test authority');
const serverCertificate = createCertificate(authority, 'api server', ['kubernetes.example']);
const clientCertificate = createCertificate(authority, 'node-1');
const folder = mkdtempSync(join(tmpdir(), 'kube-ipvs-credentials-'));
after(() => rmSync(folder, { recursive: true }));

const file = (name: string, text: string, mode = 0o600): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
};

const base64 = (text: string): string => Buffer.from(text).toString('base64');

const startServer = (options: ApiServerOptions = {}): Promise<ApiServer> =>
  ApiServer.start({ tls: { key: serverCertificate.key, cert: serverCertificate.certificate }, ...options });

let kubeconfigs = 0;

/** A kubeconfig file with one context; JSON is YAML too. */
const kubeconfig = (server: string, user: object, cluster: object = {}): string => {
  kubeconfigs += 1;
  return file(
    `kubeconfig-${kubeconfigs}`,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'here',
      contexts: [{ name: 'here', context: { cluster: 'c', user: 'u' } }],
      clusters: [
        {
          name: 'c',
          cluster: { server, 'certificate-authority-data': base64(authority.certificate), ...cluster },
        },
      ],
      users: [{ name: 'u', user }],
    }),
  );
};

const list = async (client: ApiClient): Promise<string> => {
  const answer = await client.open('/api/v1/services', {
    signal: new AbortController().signal,
    milliseconds: 5_000,
  });
  const pieces: Buffer[] = [];
  for await (const piece of answer) pieces.push(piece);
  return (JSON.parse(Buffer.concat(pieces).toString('utf8')) as { kind: string }).kind;
};

const listWith = async (options: CredentialOptions): Promise<string> => {
  using client = new ApiClient(loadCredentials(options), { protobuf: false });
  return list(client);
};

/** An exec plugin that hands out what a file says now. */
const plugin = (name: string, credentialFile: string): string =>
  file(
    name,
    `#!/bin/sh\n[ -n "$KUBERNETES_EXEC_INFO" ] || exit 1\nprintf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}' "$(cat ${credentialFile})"\n`,
    0o700,
  );

const users: readonly [what: string, user: () => object][] = [
  ['a token', () => ({ token: 'secret' })],
  ['a token file', () => ({ tokenFile: file('token', 'secret\n') })],
  ['a token file beside a stale token', () => ({ tokenFile: file('token', 'secret\n'), token: 'stale' })],
  [
    'an exec plugin',
    () => ({
      exec: {
        apiVersion: 'client.authentication.k8s.io/v1',
        command: plugin('plugin', file('plugin-token', 'secret')),
        interactiveMode: 'Never',
      },
    }),
  ],
];

for (const [what, user] of users)
  test(`${what} of a kubeconfig is accepted over TLS`, async () => {
    await using server = await startServer({ token: 'secret' });
    assert.equal(await listWith({ kubeconfig: kubeconfig(server.url, user()) }), 'ServiceList');
  });

test('a client certificate of a kubeconfig is shown, from data and from files', async () => {
  const { key, certificate: cert } = serverCertificate;
  const tls = { key, cert, ca: authority.certificate, requestCert: true, rejectUnauthorized: true };
  await using server = await startServer({ tls });
  const data = {
    'client-certificate-data': base64(clientCertificate.certificate),
    'client-key-data': base64(clientCertificate.key),
  };
  assert.equal(await listWith({ kubeconfig: kubeconfig(server.url, data) }), 'ServiceList');
  file('client.crt', clientCertificate.certificate);
  file('client.key', clientCertificate.key);
  // Paths in a kubeconfig are relative to it.
  const files = { 'client-certificate': 'client.crt', 'client-key': 'client.key' };
  assert.equal(await listWith({ kubeconfig: kubeconfig(server.url, files) }), 'ServiceList');
  await assert.rejects(listWith({ kubeconfig: kubeconfig(server.url, {}) }));
});

test('a server that the authority does not vouch for is refused, unless verification is switched off', async () => {
  await using server = await startServer();
  const other = { 'certificate-authority-data': base64(createAuthority('another').certificate) };
  await assert.rejects(listWith({ kubeconfig: kubeconfig(server.url, {}, other) }), /certificate|signature/);
  const insecure = { 'certificate-authority-data': undefined, 'insecure-skip-tls-verify': true };
  assert.equal(await listWith({ kubeconfig: kubeconfig(server.url, {}, insecure) }), 'ServiceList');
});

test('tls-server-name is the name that is verified', async () => {
  await using server = await startServer();
  const named = (name: string): string => kubeconfig(server.url, {}, { 'tls-server-name': name });
  assert.equal(await listWith({ kubeconfig: named('kubernetes.example') }), 'ServiceList');
  await assert.rejects(listWith({ kubeconfig: named('other.example') }), /altnames/);
});

test('user name and password, and a path in front of the API', async () => {
  await using server = await startServer({ pathPrefix: '/k8s/clusters/one' });
  await listWith({ kubeconfig: kubeconfig(server.url, { username: 'u', password: 'p' }) });
  const [request] = server.requests;
  assert.equal(request?.resource, 'services');
  assert.equal(request.headers.authorization, `Basic ${base64('u:p')}`);
});

test('after 401 a token is fetched anew: from a rewritten kubeconfig, a token file, an exec plugin', async () => {
  let token = 'first';
  await using server = await startServer({ token: () => token });
  const tokenFile = file('rotating', 'first');
  const execFile = file('rotating-exec', 'first');
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: plugin('rotating-plugin', execFile),
    interactiveMode: 'Never',
  };
  const inline = kubeconfig(server.url, { token: 'first' });
  const clients = [inline, kubeconfig(server.url, { tokenFile }), kubeconfig(server.url, { exec })].map(
    (path) => new ApiClient(loadCredentials({ kubeconfig: path }), { protobuf: false }),
  );
  for (const client of clients) assert.equal(await list(client), 'ServiceList');
  token = 'second';
  for (const path of [tokenFile, execFile]) writeFileSync(path, 'second');
  writeFileSync(inline, JSON.stringify({ ...readConfig(inline), users: [{ name: 'u', user: { token } }] }));
  for (const client of clients) assert.equal(await list(client), 'ServiceList');
  for (const client of clients) client[Symbol.dispose]();
  assert.ok(server.connectionCount <= 3, `${server.connectionCount} connections`);
});

test('a server that comes back with another certificate of its authority, and asks for renewed ones of ours, is followed', async () => {
  const clientAuthorities = [createAuthority('first clients'), createAuthority('second clients')] as const;
  const renew = (round: 0 | 1): void => {
    const { certificate, key } = createCertificate(clientAuthorities[round], 'node-1');
    file('renewed.crt', certificate);
    file('renewed.key', key);
    file('renewed-token', `token-${round}`);
  };
  const serve = (round: 0 | 1, port = 0): Promise<ApiServer> => {
    const { certificate: cert, key } = createCertificate(authority, `server ${round}`);
    const ca = clientAuthorities[round].certificate;
    return ApiServer.start({
      port,
      token: `token-${round}`,
      tls: { cert, key, ca, requestCert: true, rejectUnauthorized: true },
    });
  };
  renew(0);
  const first = await serve(0);
  const { port } = first;
  first.put(sampleService('web'), sampleSlice('web', ['10.244.0.1']), sampleNode('node-1', 'a'));
  const path = kubeconfig(first.url, {
    'client-certificate': 'renewed.crt',
    'client-key': 'renewed.key',
    tokenFile: 'renewed-token',
  });
  await using follower = follow(first, {
    credentials: loadCredentials({ kubeconfig: path }),
    timing: { response: 4_000, initialIdle: 4_000 },
  });
  await converged(follower, first);
  await first[Symbol.asyncDispose]();
  await using second = await serve(1, port);
  second.rewind(900);
  second.put(sampleService('web'), sampleSlice('web', ['10.244.0.2']), sampleNode('node-1', 'a'));
  second.compact();
  // The old ones are no good here.
  await until('it is turned away', () => follower.source.health().lastError !== undefined);
  assert.deepEqual(second.requests, []);
  renew(1);
  await converged(follower, second);
});

const readConfig = (path: string): object => JSON.parse(readFileSync(path, 'utf8')) as object;

test('the service account of a pod', async () => {
  await using server = await startServer({ token: 'pod' });
  const account = join(folder, 'pod/var/run/secrets/kubernetes.io/serviceaccount');
  mkdirSync(account, { recursive: true });
  writeFileSync(join(account, 'token'), 'pod\n');
  writeFileSync(join(account, 'ca.crt'), authority.certificate);
  const { KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT } = process.env;
  try {
    process.env['KUBERNETES_SERVICE_HOST'] = '127.0.0.1';
    process.env['KUBERNETES_SERVICE_PORT'] = String(server.port);
    assert.equal(await listWith({ serviceAccountRoot: join(folder, 'pod') }), 'ServiceList');
  } finally {
    restore('KUBERNETES_SERVICE_HOST', KUBERNETES_SERVICE_HOST);
    restore('KUBERNETES_SERVICE_PORT', KUBERNETES_SERVICE_PORT);
  }
});

const restore = (name: string, value: string | undefined): void => {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
};

test('--master goes before the server of a kubeconfig, and works alone', async () => {
  await using server = await ApiServer.start({ token: 'secret' });
  const elsewhere = kubeconfig('https://127.0.0.1:1', { token: 'secret' });
  assert.equal(await listWith({ kubeconfig: elsewhere, master: server.url }), 'ServiceList');
  await using open = await ApiServer.start();
  assert.equal(await listWith({ master: open.url }), 'ServiceList');
});

test('what makes no sense is an InputError that says what to do', () => {
  const cases: readonly [options: CredentialOptions, message: RegExp][] = [
    [{ kubeconfig: join(folder, 'missing') }, /^kubeconfig .*missing: .*ENOENT/],
    [{ kubeconfig: file('broken', 'clusters: [') }, /^kubeconfig .*broken: /],
    [{ kubeconfig: file('empty', '{}') }, /names no context with a cluster/],
    [{ master: 'nonsense' }, /"nonsense": not an http or https URL/],
    [{ serviceAccountRoot: join(folder, 'nowhere') }, /give --kubeconfig or --master/],
  ];
  for (const [options, message] of cases)
    assert.throws(
      () => loadCredentials(options),
      (error) => error instanceof InputError && message.test(error.message),
      JSON.stringify(options),
    );
});

test('bundled as for release, without the client’s models, credentials still do all that', async () => {
  const root = fileURLToPath(new URL('../../../..', import.meta.url));
  const { bundling } = (await import(join(root, 'scripts/bundling.mjs'))) as { bundling: object };
  const bundle = join(folder, 'smoke.mjs');
  await build({
    absWorkingDir: root,
    entryPoints: ['test/watch/api/credentials-smoke.ts'],
    outfile: bundle,
    bundle: true,
    ...bundling,
    logLevel: 'error',
  });
  const { key, certificate: cert } = serverCertificate;
  const tls = { key, cert, ca: authority.certificate, requestCert: true, rejectUnauthorized: true };
  await using server = await startServer({ tls, token: 'secret' });
  const certificate = {
    'client-certificate-data': base64(clientCertificate.certificate),
    'client-key-data': base64(clientCertificate.key),
  };
  for (const [what, user] of users) {
    const options = { kubeconfig: kubeconfig(server.url, { ...certificate, ...user() }) };
    const { stdout } = await promisify(execFile)(process.execPath, [bundle, JSON.stringify(options)]);
    assert.match(stdout, /^ServiceList /, what);
  }
});
