import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diffJson, diffText } from '../../../src/cli/diff/diff-text.js';
import { plainPalette, paletteFor } from '../../../src/cli/output/palette.js';
import type { PlanGroup } from '../../../src/plan/output/plan-text.js';

const groups: readonly PlanGroup[] = [
  { name: 'addresses', steps: [{ op: 'add', kind: 'address', key: '10.96.0.1/32', reason: 'shop/web' }] },
  {
    name: 'virtual servers',
    steps: [
      {
        op: 'add',
        kind: 'virtual-server',
        key: 'TCP 10.96.0.1:80',
        wanted: { scheduler: 'rr' },
        reason: 'shop/web',
      },
      { op: 'remove', kind: 'virtual-server', key: 'TCP 10.96.0.9:80', reason: 'no Service requests it' },
    ],
  },
];
const left = groups.slice(1);
const refused = [{ what: 'TCP 10.96.0.1:80', reason: 'the kernel has no scheduler rr' }];

test('remaining differences are shown with the objects that the kernel refused', () => {
  assert.equal(
    diffText({ groups, contested: [], repair: { by: 'daemon', remaining: left, refused } }, plainPalette),
    `# addresses
+ address 10.96.0.1/32  # shop/web

# virtual servers
+ virtual server TCP 10.96.0.1:80 rr  # shop/web
- virtual server TCP 10.96.0.9:80     # no Service requests it

2 to add, 0 to change, 1 to remove

NOT repaired: the daemon tried, but these differences remain:

# virtual servers
+ virtual server TCP 10.96.0.1:80 rr  # shop/web
- virtual server TCP 10.96.0.9:80     # no Service requests it

1 to add, 0 to change, 1 to remove
! TCP 10.96.0.1:80: the kernel has no scheduler rr
`,
  );
  assert.deepEqual(
    Object.entries(
      diffJson({ groups: left, contested: [], repair: { by: 'diff', remaining: left, refused } }),
    ).slice(0, 2),
    [
      ['equal', false],
      ['summary', { add: 1, change: 0, remove: 1 }],
    ],
  );
});

test('without differences there is one line, with colours too', () => {
  const text = (color: 'always' | 'never') =>
    diffText({ groups: [], contested: [] }, paletteFor({}, {}, color));
  assert.equal(text('never'), 'no differences: the kernel is in sync\n');
  assert.equal(text('always'), text('never'));
});

test('a successful repair adds one line', () => {
  const text = diffText(
    { groups, contested: [], repair: { by: 'diff', remaining: [], refused: [] } },
    plainPalette,
  );
  assert.match(text, /\n\nrepaired by this command: the kernel is in sync now\n$/);
});
