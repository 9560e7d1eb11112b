import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatColumns } from '../../../src/cli/output/columns.js';
import { cutToWidth, displayWidth } from '../../../src/cli/output/display-width.js';

test('a text is as wide as a terminal shows it', () => {
  const widths: readonly (readonly [string, number])[] = [
    ['', 0],
    ['shop/web', 8],
    ['  → 10.0.0.1:80', 15],
    ['Zürich', 6],
    ['Zu\u0308rich', 6],
    ['東京', 4],
    ['ソウル', 6],
    ['서울', 4],
    ['ﾊﾝｶｸ', 4],
    ['ＡＢ', 4],
    ['🚀', 2],
    ['👩‍💻', 2],
    ['🇨🇭', 2],
    ['❤️', 2],
    ['❤', 1],
    ['a\u200bb', 2],
    // A spacing mark has its own column, as in wcwidth.
    ['नि', 2],
    ['한글', 4],
    ['❤️‍🔥', 2],
    ['e\u0301\u0327', 1],
  ];
  for (const [text, width] of widths) assert.equal(displayWidth(text), width, JSON.stringify(text));
});

test('a text is cut between letters, at the columns that a terminal takes for it', () => {
  const cuts: readonly (readonly [string, number, string])[] = [
    ['abc', 2, 'ab'],
    ['abc', 5, 'abc'],
    ['東京', 3, '東'],
    ['a👩‍💻b', 2, 'a'],
    ['a👩‍💻b', 3, 'a👩‍💻'],
    ['Zu\u0308rich', 2, 'Zu\u0308'],
    ['東', 0, ''],
  ];
  for (const [text, width, cut] of cuts) assert.equal(cutToWidth(text, width), cut, `${text} ${width}`);
});

test('columns line up whatever stands in them', () => {
  const columns = [
    { title: 'ZONE', align: 'left' },
    { title: 'N', align: 'right' },
  ] as const;
  assert.equal(
    formatColumns(
      columns,
      [
        ['東京-1', '1'],
        ['a', '10'],
        ['Zu\u0308rich', '7'],
      ],
      { titles: true },
    ),
    ['ZONE     N', '東京-1   1', 'a       10', 'Zu\u0308rich   7', ''].join('\n'),
  );
});
