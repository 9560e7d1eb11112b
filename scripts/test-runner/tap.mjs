// Reads the TAP output of a test file and decides whether the run passed.

const counters = ['tests', 'pass', 'fail', 'cancelled', 'skipped', 'todo'];
const noTests = Object.fromEntries(counters.map((word) => [word, 0]));

/** The counts at the end of the TAP output; undefined if it is incomplete. */
const summaryOf = (tap) => {
  const counts = counters.map(
    (word) => [...tap.matchAll(new RegExp(`^# ${word} (\\d+)$`, 'gm'))].at(-1)?.[1],
  );
  if (counts.includes(undefined)) return undefined;
  return Object.fromEntries(counters.map((word, index) => [word, Number(counts[index])]));
};

/** What is wrong with a run besides failed assertions; undefined if nothing is. */
const flawOf = ({ status, late }, summary, limitSeconds) => {
  if (late) return `ended after ${limitSeconds} s`;
  if (summary === undefined) return `ended early: ${status}`;
  if (summary.skipped + summary.todo > 0) return `${summary.skipped + summary.todo} skipped`;
  if (summary.tests === 0) return 'no test';
  return status === 0 || summary.fail + summary.cancelled > 0 ? undefined : `status ${status}`;
};

/** The numbers of passed and failed tests of a run, and what else is wrong with it. A flaw counts as one failure. */
export const judge = (result, limitSeconds) => {
  const summary = summaryOf(result.stdout);
  const flaw = flawOf(result, summary, limitSeconds);
  const { pass, fail, cancelled, skipped, todo } = summary ?? noTests;
  const failed = fail + cancelled + skipped + todo;
  return { passed: pass, failed: failed === 0 && flaw !== undefined ? 1 : failed, flaw };
};
