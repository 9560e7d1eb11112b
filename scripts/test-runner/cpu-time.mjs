// Measures the processor time of a command and all processes that it starts. No process waits for those of a guest, so only a
// control group counts them. Without control groups, only processes that the shell waited for count.
import { accessSync, constants, existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

/** The versions of control groups that count processor time, and how to read the seconds of a group. */
const kinds = [
  {
    fits: (type, options) => type === 'cgroup' && options.includes('cpuacct'),
    seconds: (group) => Number(readFileSync(join(group, 'cpuacct.usage'), 'utf8')) / 1e9,
  },
  {
    fits: (type) => type === 'cgroup2',
    seconds: (group) =>
      Number(/usage_usec (\d+)/.exec(readFileSync(join(group, 'cpu.stat'), 'utf8'))[1]) / 1e6,
  },
];

const isWritable = (folder) => {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

const removeGroup = (folder) => {
  try {
    rmdirSync(folder);
  } catch {
    // A process still runs in it.
  }
};

const mounts = readFileSync('/proc/mounts', 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => line.split(' '));
const kind = kinds
  .flatMap(({ fits, seconds }) =>
    mounts
      .filter(([, , type, options]) => fits(type, options.split(',')))
      .map(([, folder]) => ({ folder, seconds })),
  )
  .find(({ folder }) => isWritable(folder));

/** Removes the groups of runs that were killed, as far as no process runs in them. */
const removeOldGroups = () => {
  for (const name of kind === undefined ? [] : readdirSync(kind.folder)) {
    const owner = /^kube-ipvs-test-(\d+)-/.exec(name)?.[1];
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) removeGroup(join(kind.folder, name));
  }
};

let number = 0;

/** Creates a control group for a command; undefined if that is not possible. */
export const makeGroup = () => {
  if (kind === undefined) return undefined;
  if (number === 0) removeOldGroups();
  const folder = join(kind.folder, `kube-ipvs-test-${process.pid}-${number++}`);
  try {
    mkdirSync(folder);
    kind.seconds(folder);
  } catch {
    return undefined;
  }
  return {
    folder,
    /** Removes the group and returns the seconds that it used. */
    end: () => {
      const seconds = kind.seconds(folder);
      removeGroup(folder);
      return seconds;
    },
  };
};

/** Seconds of user and system time in the output of the shell's `times`; its second line is about the children. */
export const secondsOfTimes = (times) =>
  [...(times.split('\n')[1] ?? '').matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds),
    0,
  );
