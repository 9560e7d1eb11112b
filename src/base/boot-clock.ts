/** Milliseconds since the machine started. Nothing sets this clock, and all processes read the same value. */
export const bootMilliseconds = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;
