import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { InputError } from '../../../src/base/errors.js';
import { localNodeAddresses, parseNodeAddresses } from '../../../src/cli/input/node-addresses.js';
import { readObjects } from '../../../src/cli/input/read-objects.js';
import { runProgramSync } from '../../support/program-thread.js';

const main = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'kube-ipvs-render-'));
after(() => rmSync(scratch, { recursive: true }));

const file = (name: string, text: string): string => {
  const path = join(scratch, name);
  writeFileSync(path, text);
  return path;
};

const node = ['--hostname-override=node-1', '--node-addresses=10.0.0.5/24,fd00::5/64'];
const render = (args: readonly string[], input = '') =>
  runProgramSync(main, ['render', ...node, ...args], { input });
const rendered = (args: readonly string[], input = ''): string => {
  const { status, stdout, stderr } = render(args, input);
  assert.deepEqual([status, stderr], [0, '']);
  return stdout;
};

const service = `apiVersion: v1
kind: Service
metadata: {name: my-nginx}
spec:
  type: NodePort
  clusterIP: 10.96.0.20
  ports: [{port: 80, nodePort: 30080, targetPort: 8080}]
`;
const slice = `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: my-nginx-1, labels: {kubernetes.io/service-name: my-nginx}}
addressType: IPv4
ports: [{port: 8080}]
endpoints:
- {addresses: [10.244.0.7], nodeName: node-1, conditions: {ready: true}}
- {addresses: [10.244.1.8], nodeName: node-2, conditions: {ready: true}}
`;
const both = file('both.yaml', `${service}---\n${slice}`);

const ipvsadm = `-A -t 10.0.0.5:30080 -s rr
-a -t 10.0.0.5:30080 -r 10.244.0.7:8080 -m -w 1
-a -t 10.0.0.5:30080 -r 10.244.1.8:8080 -m -w 1
-A -t 10.96.0.20:80 -s rr
-a -t 10.96.0.20:80 -r 10.244.0.7:8080 -m -w 1
-a -t 10.96.0.20:80 -r 10.244.1.8:8080 -m -w 1
`;

test('a Service with its slice becomes virtual servers on its VIP and on the addresses of the node', () => {
  assert.equal(rendered(['-f', both, '-o', 'ipvsadm']), ipvsadm);
  const realServers = {
    '10.244.0.7:8080': { weight: 1, forwarding: 'masquerade' },
    '10.244.1.8:8080': { weight: 1, forwarding: 'masquerade' },
  };
  assert.deepEqual(JSON.parse(rendered(['-f', both])), {
    virtualServers: {
      'TCP 10.0.0.5:30080': { scheduler: 'rr', realServers },
      'TCP 10.96.0.20:80': { scheduler: 'rr', realServers },
    },
    dummyAddresses: ['10.96.0.20/32'],
  });
});

test('a plan is what an empty kernel would need, in order', () => {
  assert.equal(
    rendered(['-f', both, '-o', 'plan', '--ipvs-scheduler=lc']),
    `# packet rules
+ element IPv4 cluster-ip 10.96.0.20 . TCP . 80              # default/my-nginx
+ element IPv4 external 10.0.0.5 . TCP . 30080               # default/my-nginx
+ element IPv4 hairpin 10.244.0.7 . 10.244.0.7 . TCP . 8080

# virtual servers
+ virtual server TCP 10.0.0.5:30080 lc  # default/my-nginx
+ virtual server TCP 10.96.0.20:80 lc   # default/my-nginx

# real servers
+ real server TCP 10.0.0.5:30080 → 10.244.0.7:8080 masquerade weight 1  # default/my-nginx
+ real server TCP 10.0.0.5:30080 → 10.244.1.8:8080 masquerade weight 1  # default/my-nginx
+ real server TCP 10.96.0.20:80 → 10.244.0.7:8080 masquerade weight 1   # default/my-nginx
+ real server TCP 10.96.0.20:80 → 10.244.1.8:8080 masquerade weight 1   # default/my-nginx

# bind addresses
+ address 10.96.0.20/32  # default/my-nginx

# protect addresses
+ element IPv4 vips 10.96.0.20  # default/my-nginx

11 to add, 0 to change, 0 to remove
`,
  );
});

test('the same objects come from several files, a folder, a List, typed lists, and standard input', () => {
  const folder = join(scratch, 'manifests');
  mkdirSync(folder);
  const one = file('manifests/1-service.yaml', service);
  const two = file('manifests/2-slice.yml', slice);
  file('manifests/notes.txt', 'no manifest');
  file('manifests/.hidden.yaml', '{');
  const indented = (text: string): string => `- ${text.trimEnd().replaceAll('\n', '\n  ')}\n`;
  const list = `apiVersion: v1\nkind: List\nitems:\n${indented(service)}${indented(slice)}`;
  const bare = (text: string): string => text.split('\n').slice(2).join('\n');
  const typed = `apiVersion: v1\nkind: ServiceList\nitems:\n${indented(bare(service))}---
apiVersion: discovery.k8s.io/v1\nkind: EndpointSliceList\nitems:\n${indented(bare(slice))}`;
  for (const [args, input] of [
    [['-f', one, '-f', two]],
    [['-f', folder]],
    [['-f', '-'], list],
    [['-f', '-'], typed],
    [['-f', one, '-f', '-'], slice],
  ] as const)
    assert.equal(rendered([...args, '-o', 'ipvsadm'], input), ipvsadm, args.join(' '));
});

test('Pods in the files are the weights of a Service that asks for them', () => {
  const pod = (name: string, weight: number): string =>
    `---\napiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, annotations: {ipvs.kube-ipvs.dev/weight: "${weight}"}}\n`;
  const asking = service.replace(
    '{name: my-nginx}',
    '{name: my-nginx, annotations: {ipvs.kube-ipvs.dev/weight-by: pod}}',
  );
  const ofPods = slice
    .replace('nodeName: node-1', 'nodeName: node-1, targetRef: {kind: Pod, name: web-1}')
    .replace('nodeName: node-2', 'nodeName: node-2, targetRef: {kind: Pod, name: web-2}');
  const objects = `${asking}---\n${ofPods}${pod('web-1', 7)}${pod('web-2', 3)}`;
  const weighted = ipvsadm
    .replaceAll('-s rr', '-s wrr')
    .replaceAll(/(0\.7:8080 -m -w) 1/g, '$1 7')
    .replaceAll(/(1\.8:8080 -m -w) 1/g, '$1 3');
  assert.equal(rendered(['-f', '-', '-o', 'ipvsadm'], objects), weighted);
});

test('a config file decides the scheduler, the node and its NodePort addresses', () => {
  const config = file(
    'config.yaml',
    'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\nhostnameOverride: node-1\nnodePortAddresses: [192.0.2.0/24]\nipvs: {scheduler: mh}\n',
  );
  assert.match(
    rendered(['-f', both, '-o', 'ipvsadm', '--config', config]),
    /^-A -t 10\.96\.0\.20:80 -s mh -b mh-port\n/,
  );
});

test('of two objects of one name the first one counts, and that is said; other kinds are passed over', () => {
  const objects = readObjects(
    [
      file(
        'twice.yaml',
        `${service}---\n${service.replace('10.96.0.20', '10.96.0.21')}---\napiVersion: apps/v1\nkind: Deployment\n`,
      ),
    ],
    '',
  );
  assert.deepEqual(
    [...objects.services.values()].map(({ clusterIps }) => clusterIps),
    [{ IPv4: '10.96.0.20' }],
  );
  assert.match(objects.problems.join('\n'), /stands in .*twice\.yaml too; the one there counts/);
});

test('a node that is missing in the files causes a warning', () => {
  const other = file('node.yaml', 'apiVersion: v1\nkind: Node\nmetadata: {name: node-9}\n');
  const { status, stderr } = render(['-f', both, '-f', other]);
  assert.equal(status, 0);
  assert.match(stderr, /^kube-ipvs: warning: .* not node-1: .* --hostname-override=node-9\n$/);
});

test('what cannot be read is told with file, line, object and field; nothing is printed', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    [file('broken.yaml', 'a: [1\n'), /broken\.yaml:2: document 1: /],
    [
      file('kind.yaml', `${service}---\nname: x\n`),
      /kind\.yaml:9: document 2: not a Kubernetes object: apiVersion and kind are missing/,
    ],
    [
      file('port.yaml', `${service}---\n${service.replace('port: 80,', 'port: eighty,')}`),
      /port\.yaml:15: document 2: Service default\/my-nginx: spec\.ports\[0\]\.port: /,
    ],
    [join(scratch, 'missing.yaml'), /-f .*missing\.yaml: ENOENT/],
  ];
  for (const [path, message] of cases) {
    const { status, stdout, stderr } = render(['-f', path]);
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, message);
  }
});

test('addresses of the node are read with their length, and are those of this machine by default', () => {
  assert.deepEqual(parseNodeAddresses('10.0.0.5/24, fd00::5/64'), [
    { address: '10.0.0.5', prefixLength: 24, interfaceName: 'node' },
    { address: 'fd00::5', prefixLength: 64, interfaceName: 'node' },
  ]);
  assert.throws(() => parseNodeAddresses('10.0.0.5'), InputError);
  const loopback = localNodeAddresses().find(({ address }) => address === '127.0.0.1');
  assert.deepEqual(loopback, { address: '127.0.0.1', prefixLength: 8, interfaceName: 'lo' });
});
