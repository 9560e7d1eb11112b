import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completeForShell } from '../../src/cli/completion/complete-for-shell.js';
import { formatColumns } from '../../src/cli/output/columns.js';
import { diffText } from '../../src/cli/diff/diff-text.js';
import { doctorText } from '../../src/cli/doctor/doctor-text.js';
import { changeLine } from '../../src/cli/dump/dump-watch.js';
import { buildServiceReport } from '../../src/cli/explain/service-report.js';
import { serviceReportText } from '../../src/cli/explain/service-report-text.js';
import { plainPalette } from '../../src/cli/output/palette.js';
import { commands } from '../../src/cli/commands/registry.js';
import { statusText } from '../../src/cli/status/status-text.js';
import { fitWidth } from '../../src/cli/top/screen.js';
import { valueOf } from '../../src/doctor/check-result.js';
import { status } from '../support/doctor-facts.js';
import { endpoint, goodServed, goodService, goodStory } from '../support/explain-facts.js';

// Who may write an EndpointSlice gives its endpoints pods of any name: what we print of it must be no order to a terminal.

const name = 'shop/x\u001b]0;owned\u0007\n\u009b31m';

const told: Readonly<Record<string, () => string>> = {
  'a table': () => formatColumns([{ title: 'POD', align: 'left' }], [[name], [name]], { titles: true }),
  'a change of dump -w': () =>
    changeLine({ change: 'added', server: { virtualServer: 'TCP 10.96.0.1:80', pod: name } }, new Date(0)),
  'a line of top': () => fitWidth(name, 60),
  'the doctor': () =>
    doctorText(
      [
        {
          id: 'x',
          group: 'ipvs',
          title: '',
          why: name,
          result: 'fail',
          seen: name,
          remedies: [{ advice: name, command: `kubectl get ${name}` }],
        },
      ],
      false,
    ),
  explain: () =>
    serviceReportText(
      buildServiceReport(
        {
          ...goodStory,
          target: name,
          pod: name,
          service: {
            ...goodService,
            endpoints: [{ ...endpoint('10.244.1.1:8080', 'web-1', name), pod: name, ready: false }],
            problems: [{ reason: 'X', message: name }],
            events: [{ at: name, type: 'Warning', reason: name, note: name }],
          },
          served: [{ ...goodServed, contested: true, service: name }],
        },
        [],
      ),
      plainPalette,
    ),
  status: () => {
    const answer = valueOf(
      status({
        source: { name, delivered: false, trouble: name },
        contested: [{ virtualServer: 'TCP 10.96.0.1:80', service: name }],
      }),
    );
    assert.ok(answer);
    return statusText(answer, plainPalette);
  },
  diff: () => {
    const groups = [
      { name: 'addresses', steps: [{ op: 'add', kind: 'address', key: name, reason: name } as const] },
    ];
    return diffText(
      {
        groups,
        contested: [{ virtualServer: name, service: name }],
        repair: { by: 'daemon', remaining: groups, refused: [{ what: name, reason: name }] },
      },
      plainPalette,
    );
  },
};

for (const [what, tell] of Object.entries(told))
  test(`${what} shows the controls in a name, and obeys none`, () => {
    const text = tell();
    assert.match(text, /x\\u001b\]0;owned\\u0007(\\u000a|\s)/);
    assert.doesNotMatch(text, /(?!\n)\p{Cc}/u);
  });

test('a shell is offered no name that it would run', async () => {
  const words = [
    'shop/web',
    'shop/web:http',
    '[fd00::1]:443',
    'shop/$(reboot)',
    'shop/a`b`',
    "shop/'",
    'shop/a b',
    name,
  ];
  const answer = await completeForShell(commands, ['zsh', 'dump', ''], async () =>
    words.map((word) => ({ word, summary: name })),
  );
  assert.deepEqual(
    answer
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t')[0]),
    ['shop/web', 'shop/web:http', '[fd00::1]:443'],
  );
});
