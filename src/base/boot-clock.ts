/** Milliseconds since the machine started: nobody sets this clock, and every process reads the same on it. */
export const bootMilliseconds = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;
