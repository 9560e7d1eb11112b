/** Milliseconds of processor time that this process has used: unlike the clock's they do not count what else the machine does. */
export const cpuMilliseconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};
