import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { parse } from 'yaml';
import { z } from 'zod';

// The workflows of .github/workflows against the schema and the expressions that GitHub's own parser knows, and our rules: pinned
// actions, few permissions, no text of others in a shell.

const root = fileURLToPath(new URL('../../..', import.meta.url));
const folder = join(root, '.github/workflows');
const work = mkdtempSync(join(tmpdir(), 'workflows-test-'));
after(() => rmSync(work, { recursive: true }));

interface Parsed {
  readonly context: { readonly errors: { getErrors(): readonly { readonly message: string }[] } };
}
interface Parser {
  readonly parseWorkflow: (
    file: { readonly name: string; readonly content: string },
    trace: unknown,
  ) => Parsed;
  readonly NoOperationTraceWriter: new () => unknown;
}

/** Node.js cannot load the package as it is: it imports JSON without an attribute. */
const loadParser = async (): Promise<Parser> => {
  const outfile = join(work, 'parser.cjs');
  const contents = `export { parseWorkflow, NoOperationTraceWriter } from '@actions/workflow-parser';`;
  const stdin = { contents, resolveDir: root };
  await build({ stdin, bundle: true, platform: 'node', format: 'cjs', outfile, logLevel: 'error' });
  return (await import(outfile)) as Parser;
};
const { parseWorkflow, NoOperationTraceWriter } = await loadParser();

const stepShape = z.object({
  uses: z.string().optional(),
  run: z.string().optional(),
  with: z.record(z.string(), z.unknown()).optional(),
});
const workflowShape = z.object({
  permissions: z.record(z.string(), z.string()).optional(),
  jobs: z.record(
    z.string(),
    z.object({ 'timeout-minutes': z.number().optional(), steps: z.array(stepShape).default([]) }),
  ),
});

const syntaxFaults = (content: string): readonly string[] =>
  parseWorkflow({ name: 'workflow.yml', content }, new NoOperationTraceWriter())
    .context.errors.getErrors()
    .map(({ message }) => message);

const stepFaults = ({ uses, run = '', with: inputs = {} }: z.infer<typeof stepShape>): readonly string[] => [
  ...(uses !== undefined && !/^[\w.-]+\/[\w./-]+@[0-9a-f]{40}$/.test(uses) ? [`${uses}: not pinned`] : []),
  ...(uses?.startsWith('actions/checkout@') === true && inputs['persist-credentials'] !== false
    ? [`${uses}: leaves its token to later steps`]
    : []),
  ...(/\$\{\{/.test(run) ? [`an expression in a shell: ${run}`] : []),
  ...[...run.matchAll(/(?<![\w/])(?:scripts|\.ci)\/[\w-]+/g)]
    .filter(([path]) => !existsSync(join(root, path)))
    .map(([path]) => `${path}: no such script`),
];

const ruleFaults = (content: string): readonly string[] => {
  const { permissions, jobs } = workflowShape.parse(parse(content));
  const isReadOnly = JSON.stringify(permissions) === '{"contents":"read"}';
  return [
    ...(isReadOnly ? [] : ['permissions of all jobs: must be contents: read']),
    ...Object.entries(jobs).flatMap(([name, job]) => [
      ...(job['timeout-minutes'] === undefined ? [`job ${name}: no timeout-minutes`] : []),
      ...job.steps.flatMap(stepFaults),
    ]),
    ...[...content.matchAll(/^.*\buses: .*$/gm)]
      .filter(([line]) => !/# v\d+\.\d+\.\d+$/.test(line))
      .map(([line]) => `${line.trim()}: no comment with the version`),
  ];
};

const faults = (content: string): readonly string[] => {
  const found = syntaxFaults(content);
  return found.length > 0 ? found : ruleFaults(content);
};

for (const name of readdirSync(folder))
  test(`${name} keeps the schema and the rules`, () => {
    assert.deepEqual(faults(readFileSync(join(folder, name), 'utf8')), []);
  });

test('there is a workflow for tests, and one for releases, which signs what it built', () => {
  assert.deepEqual(readdirSync(folder).toSorted(), ['release.yml', 'test.yml']);
  const { jobs } = workflowShape.parse(parse(readFileSync(join(folder, 'release.yml'), 'utf8')));
  const commands = Object.values(jobs).flatMap(({ steps }) => steps.map(({ run = '' }) => run));
  assert.ok(commands.some((run) => run.includes('scripts/release')));
  assert.ok(commands.some((run) => run.includes('cosign sign-blob')));
});

const workflow = (step: string): string => `
on: push
permissions: { contents: read }
jobs:
  one:
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    steps:
      - ${step}
`;
const flaws: readonly (readonly [name: string, content: string, message: RegExp])[] = [
  ['a key that does not exist', workflow('run: date\n        shel: sh'), /shel/],
  [
    'an expression that does not parse',
    workflow('run: date\n        if: ${{ github.ref == }}'),
    /expression/i,
  ],
  ['an unknown trigger', workflow('run: date').replace('on: push', 'on: pushed'), /pushed/],
  ['an action by its tag', workflow('uses: actions/cache@v4'), /not pinned/],
  ['an action without its version', workflow(`uses: a/b@${'0'.repeat(40)}`), /no comment with the version/],
  ['a title in a shell', workflow('run: echo ${{ github.event.issue.title }}'), /an expression in a shell/],
  ['a script that does not exist', workflow('run: scripts/nothing'), /scripts\/nothing: no such script/],
  ['too many permissions', workflow('run: date').replace('read', 'write'), /must be contents: read/],
  ['no time limit', workflow('run: date').replace(/ +timeout.*\n/, ''), /no timeout-minutes/],
];
for (const [name, content, message] of flaws)
  test(`the check finds ${name}`, () => {
    assert.match(faults(content).join('\n'), message);
  });
