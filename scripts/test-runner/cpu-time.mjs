// The processor time of a command and everything that it starts. A guest's processes are not waited for by anything, so that only a
// control group counts them; where none can be made, what the shell waited for is counted.
import { accessSync, constants, existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

/** The kinds of control groups that count, and the seconds that a group has used. */
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
    // Something still runs in it.
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

/** Groups of runs that were ended can be removed only when nothing runs in them any more. */
const removeOldGroups = () => {
  for (const name of kind === undefined ? [] : readdirSync(kind.folder)) {
    const owner = /^kube-ipvs-test-(\d+)-/.exec(name)?.[1];
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) removeGroup(join(kind.folder, name));
  }
};

let number = 0;

/** A control group for a command; undefined where there are none. */
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
    /** The seconds used; to be asked once. */
    end: () => {
      const seconds = kind.seconds(folder);
      removeGroup(folder);
      return seconds;
    },
  };
};

/** Seconds of user and system time in what the shell's `times` wrote; the second line is that of its children. */
export const secondsOfTimes = (times) =>
  [...(times.split('\n')[1] ?? '').matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds),
    0,
  );
