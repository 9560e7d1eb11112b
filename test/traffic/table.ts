import { groupBy } from './group.js';
import { cases, settings } from './matrix.js';
import { positions } from './network.js';
import type { Finding } from './run.js';

const pad = (rows: readonly (readonly string[])[]): readonly string[] => {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
};

const cellOf = (findings: readonly Finding[]): string => {
  const texts = findings.map(({ ok, expected, seen }) =>
    ok ? expected.join(' ') : `✗ ${seen.toSorted().join(' ')}, not ${expected.join(' ')}`,
  );
  return [...new Set(texts)].join('; ') || '-';
};

const unique = (values: readonly string[]): string => [...new Set(values)].join(' ');

/** A line for all transports and families of a frontend whose requests met the same. */
const linesOf = (findings: readonly Finding[]): readonly (readonly string[])[] => {
  const single = groupBy(findings, ({ frontend, transport, family }) => `${frontend} ${transport} ${family}`);
  const lines = single.map((group) => ({
    group,
    cells: positions.map((position) => cellOf(group.filter(({ from }) => from === position))),
  }));
  const merged = groupBy(lines, ({ group, cells }) => [group[0]?.frontend, ...cells].join('|'));
  return merged.map((same) => {
    const all = same.flatMap(({ group }) => group);
    const ok = all.every((finding) => finding.ok);
    return [
      ok ? '✓' : '✗',
      all[0]?.frontend ?? '',
      unique(all.map(({ transport }) => transport)),
      unique(all.map(({ family }) => family)),
      ...(same[0]?.cells ?? []),
    ];
  });
};

/** What the requests of one setting met, a line a frontend; what was expected otherwise stands beside it. */
export const tableOf = (setting: string, findings: readonly Finding[]): string => {
  const head = ['', 'to', 'by', 'over', ...positions];
  const blocks = cases.flatMap(({ name, about }) => {
    const own = findings.filter((finding) => finding.of === name);
    if (own.length === 0) return [];
    const [first = '', ...rest] = pad([head, ...linesOf(own)]);
    return [`  ${name}: ${about}`, ...[first, ...rest].map((line) => `    ${line}`), ''];
  });
  return [`${setting}: ${settings[setting]?.about ?? ''}`, '', ...blocks].join('\n');
};
