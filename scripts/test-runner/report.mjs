// The cost of the tests by file.
import { readFileSync, writeFileSync } from 'node:fs';

const durationsFile = new URL('durations.json', import.meta.url);
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const rounded = (seconds) => Math.round(seconds * 10) / 10;

const columns = [
  ['FILE', ({ file }) => file, 'padEnd'],
  ['WHERE', ({ where }) => where, 'padEnd'],
  ['NODE', ({ node }) => node, 'padEnd'],
  ['GUESTS', ({ guests }) => String(guests), 'padStart'],
  ['WALL', ({ seconds }) => `${seconds.toFixed(1)} s`, 'padStart'],
  ['CPU', ({ cpuSeconds }) => `${cpuSeconds.toFixed(1)} s`, 'padStart'],
];

const table = (runs) => {
  const rows = [columns.map(([head]) => head), ...runs.map((run) => columns.map(([, cell]) => cell(run)))];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index].length)));
  return rows.map((row) => row.map((cell, index) => cell[columns[index][2]](widths[index])).join('  '));
};

const totals = (runs) => ({
  runs: runs.length,
  guests: sum(runs.map(({ guests }) => guests)),
  cpuSeconds: rounded(sum(runs.map(({ cpuSeconds }) => cpuSeconds))),
});

/** The lines of a table of the slowest runs, and the total cost. */
export const slowest = (runs, wallSeconds, count = 15) => {
  const { guests, cpuSeconds } = totals(runs);
  return [
    'The slowest files:',
    ...table(runs.toSorted((a, b) => b.seconds - a.seconds).slice(0, count)),
    `${runs.length} runs of test files took ${wallSeconds.toFixed(0)} s, ${cpuSeconds.toFixed(0)} s of processor time and ${guests} guests`,
  ];
};

/** Writes the results of all runs as JSON. */
export const writeReport = (file, runs, wallSeconds) => {
  const listed = runs.toSorted((a, b) => b.seconds - a.seconds);
  const report = { wallSeconds: rounded(wallSeconds), ...totals(runs), files: listed };
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
};

/** The recorded seconds of the slower files. */
export const readDurations = () => JSON.parse(readFileSync(durationsFile, 'utf8'));

/** Records the seconds of the slower files, so that the next run can start with the longest. */
export const writeDurations = (runs) => {
  const entries = runs
    .filter(({ seconds }) => seconds >= 3)
    .map(({ file, seconds }) => [file, Math.round(seconds)])
    .toSorted(([, a], [, b]) => a - b);
  const longest = Object.entries(Object.fromEntries(entries)).toSorted(([, a], [, b]) => b - a);
  writeFileSync(durationsFile, `${JSON.stringify(Object.fromEntries(longest), undefined, 2)}\n`);
};
