import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { ExecResult } from '../../support/api-exec.js';
import { runPluginProgram, type PluginResult } from '../../support/plugin.js';
import {
  explainAnswer,
  simulatedBackends,
  SimulatedFleet,
  statusAnswer,
  type SimulatedFleetOptions,
} from '../../support/simulated-fleet.js';

// `kubectl kube-ipvs` against the test API server, whose nodes are simulated. Real daemons are in test/kernel/fleet.test.ts.

const nodesOf = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `node-${index + 1}`);

const [one = '', two = '', three = ''] = simulatedBackends;
const json = (value: object): ExecResult => ({ stdout: JSON.stringify(value) });

/** Runs command lines against a fleet. */
const onFleet = async <Result>(
  count: number,
  options: SimulatedFleetOptions,
  use: (run: (line: string) => Promise<PluginResult>, fleet: SimulatedFleet) => Promise<Result>,
): Promise<Result> => {
  await using fleet = await SimulatedFleet.start(nodesOf(count), { token: 'secret', ...options });
  return await use((line) => runPluginProgram([...line.split(' '), '--kubeconfig', fleet.kubeconfig]), fleet);
};

test('one of twenty nodes that lacks a backend is found and named', () =>
  onFleet(20, { states: { 'node-17': { kernel: { [one]: 1, [three]: 1 } } } }, async (run) => {
    const { status, stdout, stderr } = await run('explain shop/web');
    assert.equal(
      stdout,
      `shop/web: 19 nodes alike, 1 differs

FRONTEND             POLICY   SCHEDULER  REAL SERVERS
TCP 10.96.10.10:80   Cluster  rr         2–3
TCP node port 30080  Cluster  rr         2–3

REAL SERVER       POD         NODES  MISSING ON
10.244.0.12:8080  shop/web-2  19     node-17
10.244.0.11:8080  shop/web-1  20
10.244.0.13:8080  shop/web-3  20

1 node: node-17
  the kernel lacks real server 10.244.0.12:8080 of TCP 10.96.10.10:80
  the kernel lacks real server 10.244.0.12:8080 of TCP node port 30080
  see: kubectl kube-ipvs explain shop/web --node node-17
`,
    );
    assert.deepEqual([status, stderr], [1, '']);
    const story = await run('explain shop/web --node node-17');
    assert.deepEqual(story, { status: 0, stdout: 'the story of node-17\n', stderr: '' });
    const dump = await run('dump shop/web');
    assert.equal(dump.status, 1);
    assert.match(dump.stdout, /^19 nodes alike, 1 differs\n/);
    assert.match(dump.stdout, /\n1 node: node-17\n {2}- TCP 10\.96\.10\.10:80 → 10\.244\.0\.12:8080 /);
  }));

test('stories of several nodes have heads, and the exit status is that of the commands', () =>
  onFleet(
    3,
    {
      override: (node) => (node === 'node-2' ? { stdout: 'not healthy\u001b[2J\n', exitCode: 1 } : undefined),
    },
    async (run) => {
      const { status, stdout } = await run('explain shop/web --node node-3 --node node-2');
      assert.deepEqual(
        [status, stdout],
        [1, '==> node-2 <==\nnot healthy\\u001b[2J\n\n==> node-3 <==\nthe story of node-3\n\n'],
      );
      assert.equal((await run('explain shop/web --node node-3')).status, 0);
    },
  ));

test('who may not list nodes sees those that have a pod', () =>
  onFleet(2, {}, async (run, fleet) => {
    const forbidden = {
      fault: 'status',
      status: 403,
      reason: 'Forbidden',
      message: 'nodes is forbidden',
    } as const;
    fleet.api.fail({ resource: 'nodes', times: 2, fault: forbidden });
    assert.match((await run('status')).stdout, /\n2 nodes: 2 healthy\n$/);
    const selected = await run('status -l zone=a');
    assert.equal(selected.status, 2);
    assert.match(selected.stderr, /nodes is forbidden/);
  }));

test('a difference that is gone a second later is none', () => {
  const asked = new Map<string, number>();
  return onFleet(
    5,
    {
      override: (node, { command }) => {
        asked.set(node, (asked.get(node) ?? 0) + 1);
        const isLate = command[1] === 'explain' && node === 'node-2' && asked.get(node) === 1;
        return isLate ? json({ stories: [explainAnswer({ known: [one, two] })] }) : undefined;
      },
    },
    async (run) => {
      const { status, stdout } = await run('explain shop/web');
      assert.deepEqual([status, stdout.split('\n')[0]], [0, 'shop/web: 5 nodes alike']);
      assert.deepEqual([asked.get('node-1'), asked.get('node-2')], [1, 2]);
    },
  );
});

test('a node whose daemon does not know the Service differs', () =>
  onFleet(
    3,
    {
      override: (node) =>
        node === 'node-3'
          ? { stderr: 'kube-ipvs: target "shop/web" not found. Run `kube-ipvs dump`.\n', exitCode: 1 }
          : undefined,
    },
    async (run) => {
      const { status, stdout } = await run('explain shop/web -o json');
      const { differing } = JSON.parse(stdout) as { differing: object };
      assert.deepEqual(
        [status, differing],
        [1, [{ nodes: ['node-3'], findings: ['the daemon does not serve the Service'] }]],
      );
    },
  ));

test('the worst nodes come first, partial results are shown, and the exit status says what happened', () =>
  onFleet(
    8,
    {
      override: (node, { command }) => {
        if (command[1] !== 'status') return undefined;
        const answers: Readonly<Record<string, ExecResult>> = {
          'node-2': json(statusAnswer('node-2', { healthy: false })),
          'node-3': 'no-answer',
          'node-4': 'cut',
          'node-5': { refused: { code: 403, reason: 'Forbidden', message: 'pods is forbidden' } },
          'node-6': { stderr: 'kube-ipvs: cannot connect to the\nkube-ipvs daemon\n', exitCode: 2 },
          'node-7': { stdout: 'no json' },
        };
        return answers[node];
      },
    },
    async (run) => {
      const { status, stdout } = await run('status --timeout 1s');
      const lines = stdout.split('\n');
      assert.deepEqual(
        lines.slice(1, 9).map((line) => line.split(/ {2,}/).slice(0, 2).join(' ')),
        [
          ...['3', '4', '5', '6', '7'].map((name) => `node-${name} no answer`),
          'node-2 NOT healthy',
          'node-1 healthy',
          'node-8 healthy',
        ],
      );
      assert.match(lines[1] ?? '', /no answer within 1 s$/);
      assert.match(lines[2] ?? '', /the connection was closed before the command had ended$/);
      assert.match(
        lines[3] ?? '',
        /the API server forbids pods\/exec in namespace kube-system; docs\/fleet\.md/,
      );
      assert.match(lines[4] ?? '', /cannot connect to the kube-ipvs daemon$/);
      assert.match(lines[5] ?? '', /kube-ipvs printed no JSON/);
      assert.match(stdout, /\n8 nodes: 5 no answer, 1 NOT healthy, 2 healthy\n$/);
      assert.equal(status, 1, 'what was found counts more than who did not answer');
      const some = await run('status --timeout 1s --node node-1 --node node-4 -o json');
      assert.equal(some.status, 3);
      const { nodes } = JSON.parse(some.stdout) as { nodes: readonly { node: string; state: string }[] };
      assert.deepEqual(
        nodes.map(({ node, state }) => [node, state]),
        [
          ['node-4', 'no-answer'],
          ['node-1', 'healthy'],
        ],
      );
    },
  ));

test('a node that answers what no kube-ipvs does is named, and the others are shown', () => {
  const odd: Readonly<Record<string, object>> = {
    status: { counts: null },
    explain: { stories: [{ service: 'x' }] },
    diff: { operations: [null] },
    dump: { virtualServers: { 'TCP 10.96.0.1:80': 3 } },
    doctor: { checks: [null] },
  };
  return onFleet(
    3,
    { override: (node, { command }) => (node === 'node-2' ? json(odd[command[1] ?? ''] ?? {}) : undefined) },
    async (run) => {
      for (const line of ['status', 'explain shop/web', 'diff', 'dump', 'doctor']) {
        const { status, stdout, stderr } = await run(line);
        assert.match(`${stdout}${stderr}`, /node-2.*the answer is not usable/, line);
        assert.equal(status, 3, `${line}: ${stdout}${stderr}`);
      }
    },
  );
});

test('nodes that do not answer are named by reason on standard error', () =>
  onFleet(5, { override: (node) => (node > 'node-3' ? 'cut' : undefined) }, async (run) => {
    const { status, stdout, stderr } = await run('diff');
    assert.deepEqual(
      [status, stdout, stderr],
      [
        3,
        '3 of 5 nodes: the kernel is in sync\n',
        'kube-ipvs: 2 of 5 nodes did not answer:\n  node-4, node-5: the connection was closed before the command had ended\n',
      ],
    );
  }));

test('nodes are selected by labels and names; pods that do not run and nodes without a pod are named', () =>
  onFleet(6, {}, async (run, fleet) => {
    fleet.api.delete('Pod', 'kube-system/kube-ipvs-node-3');
    fleet.api.put({
      kind: 'Pod',
      metadata: { name: 'kube-ipvs-node-5', namespace: 'kube-system', labels: { 'k8s-app': 'kube-ipvs' } },
      spec: { nodeName: 'node-5' },
      status: {
        phase: 'Pending',
        containerStatuses: [{ name: 'kube-ipvs', state: { waiting: { reason: 'ImagePullBackOff' } } }],
      },
    });
    fleet.api.put({
      kind: 'Node',
      metadata: { name: 'w', labels: { zone: 'a', 'kubernetes.io/os': 'windows' } },
    });
    const { status, stdout, stderr } = await run('diff -l zone=a');
    assert.deepEqual([status, stdout], [3, '1 of 2 nodes: the kernel is in sync\n']);
    assert.match(stderr, /node-5: pod kube-ipvs-node-5: ImagePullBackOff\n/);
    assert.match(stderr, /1 node without a kube-ipvs pod: node-3\n/);
    assert.deepEqual(
      fleet.commands.map(([node, command]) => [node, command.join(' ')]),
      [['node-1', 'kube-ipvs diff -o json']],
    );
    const named = await run('diff --node node-3 -o json');
    assert.equal(named.status, 3);
    assert.match(named.stderr, /1 of 1 node did not answer:\n {2}node-3: no kube-ipvs pod\n/);
  }));

test('at most so many nodes are asked at the same time', () =>
  onFleet(
    12,
    {
      override: async (node) => {
        await new Promise((resolve) => setImmediate(resolve));
        return json(statusAnswer(node));
      },
    },
    async (run, fleet) => {
      assert.equal((await run('status --parallel 3')).status, 0);
      assert.ok(fleet.mostAtOnce <= 3, String(fleet.mostAtOnce));
      assert.equal(fleet.commands.length, 12);
    },
  ));

test('checks are shown once for all nodes that fail them', () =>
  onFleet(
    4,
    {
      override: (node, { command }) =>
        command[1] === 'doctor' && node !== 'node-1'
          ? json({
              checks: [
                {
                  id: 'conntrack-size',
                  result: 'fail',
                  seen: `full on ${node < 'node-4' ? 'x' : 'y'}`,
                  remedy: 'grow it',
                },
              ],
            })
          : undefined,
    },
    async (run, fleet) => {
      const { status, stdout } = await run('doctor --only conntrack');
      assert.equal(
        stdout,
        `fail conntrack-size: 3 nodes: node-2, node-3, node-4
  full on x (2 nodes)
  full on y (1 node)
  → grow it

4 nodes: 1 checks fail, 0 warn, 0 unknown
`,
      );
      assert.equal(status, 1);
      assert.equal(fleet.commands[0]?.[1].join(' '), 'kube-ipvs doctor -o json --quiet --only conntrack');
    },
  ));

test('traffic of all nodes is added up', () =>
  onFleet(10, {}, async (run) => {
    const { status, stdout } = await run('top --iterations 1 --interval 500ms');
    assert.equal(status, 0);
    assert.match(stdout, /\nshop\/web +20 +30 +0 +100 +100 +1000 +2000 +10 +2 virtual\n/);
    const { rows } = JSON.parse((await run('top --iterations 1 --by node -o json')).stdout) as {
      rows: object[];
    };
    assert.equal(rows.length, 10);
  }));

test('no cluster, no pods, no permission and no Service are errors that say what to do', () =>
  onFleet(2, {}, async (run, fleet) => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ['status -n other', /no pod with the labels k8s-app=kube-ipvs in namespace other\. Name the namespace/],
      ['status -l zone=c', /no node is selected by -l and --node/],
      ['explain shop/wbe', /Service shop\/wbe does not exist in the cluster/],
      ['status --context nowhere', /no context "nowhere"/],
      ['status --cluster nowhere', /no cluster "nowhere"/],
    ];
    for (const [line, message] of cases) {
      const { status, stdout, stderr } = await run(line);
      assert.deepEqual([status, stdout], [2, ''], line);
      assert.match(stderr, message);
    }
    fleet.api.fail({
      resource: 'pods',
      fault: { fault: 'status', status: 403, reason: 'Forbidden', message: 'pods is forbidden' },
    });
    const denied = await run('status');
    assert.equal(denied.status, 2);
    assert.match(denied.stderr, /pods is forbidden/);
    const wrong = [
      ['explain web', /"web" is not a valid Service \(expected NAMESPACE\/NAME/],
      ['status --parallel 0', /--parallel: "0" is not a valid number/],
      ['status --timeout soon', /--timeout: "soon" is not a valid duration/],
    ] as const;
    for (const [line, message] of wrong) {
      const { status, stderr } = await run(line);
      assert.equal(status, 2, line);
      assert.match(stderr, message);
    }
  }));

test('the files of $KUBECONFIG are merged, --token and --server override them, and --as impersonates', () =>
  onFleet(1, {}, async (_, fleet) => {
    const first = `${fleet.kubeconfig}-first`;
    const part = { apiVersion: 'v1', kind: 'Config', 'current-context': 'here' };
    const context = { name: 'here', context: { cluster: 'c', user: 'mine' } };
    const users = [{ name: 'mine', user: { token: 'secret' } }];
    writeFileSync(first, JSON.stringify({ ...part, contexts: [context], users, clusters: [] }));
    const files = `${first}:/nowhere/config:${fleet.kubeconfig}`;
    const run = (line: string) => runPluginProgram(line.split(' '), { KUBECONFIG: files });
    assert.equal((await run('status --as jane')).status, 0);
    assert.equal(fleet.api.requests.at(-1)?.headers['impersonate-user'], 'jane');
    assert.equal((await run('status --context c')).status, 0);
    assert.equal((await run('status --token wrong')).status, 2);
    assert.match((await run('status --server http://127.0.0.1:1')).stderr, /ECONNREFUSED/);
    const missing = await runPluginProgram(['status'], { KUBECONFIG: '/nowhere/a:/nowhere/b' });
    assert.match(missing.stderr, /\$KUBECONFIG: no such file: \/nowhere\/a, \/nowhere\/b/);
  }));

test('as a plugin it is called kubectl kube-ipvs, and completes for kubectl', async () => {
  const help = await runPluginProgram([]);
  assert.deepEqual([help.status, help.stderr], [0, '']);
  assert.match(help.stdout, /^Usage: kubectl kube-ipvs .*\n[^]*\n {2}kubectl kube-ipvs explain shop\/web /);
  assert.match((await runPluginProgram(['explain', '--help'])).stdout, /^Usage: kubectl kube-ipvs explain /);
  assert.match((await runPluginProgram(['cleanup'])).stderr, /unknown command 'cleanup'/);
  assert.match((await runPluginProgram(['version'])).stdout, /^kube-ipvs v/);
  const completions = async (...words: readonly string[]) =>
    (await runPluginProgram(['__complete', ...words])).stdout;
  assert.match(await completions('st'), /^status\t[^\n]+\n:4\n$/);
  assert.match(await completions('status', '--par'), /^--parallel\t[^\n]+\n:4\n$/);
  assert.equal(await completions('status', '--kubeconfig', ''), ':0\n');
  assert.match(await completions('status', '-o', ''), /^table\t\nwide\t\njson\t\n:4\n$/);
});
