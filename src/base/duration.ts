const nanosecondsOf: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Reads Go's duration syntax (`30s`, `1m30s`, `1.5h`, `-5ms`, `0`) as milliseconds. Undefined for any other text. */
export const parseDuration = (text: string): number | undefined => {
  const [, sign = '', rest = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  if (rest === '0') return 0;
  if (!/^((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$/.test(rest)) return undefined;
  let nanoseconds = 0;
  for (const [, amount, unit = ''] of rest.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g))
    nanoseconds += Number(amount) * (nanosecondsOf[unit] ?? 0);
  return ((sign === '-' ? -1 : 1) * nanoseconds) / 1e6;
};

/** Milliseconds as Go writes them: `1m30s`, `24h0m0s`, `500ms`, `0s`. parseDuration reads it. */
export const formatDuration = (milliseconds: number): string => {
  if (milliseconds < 0) return `-${formatDuration(-milliseconds)}`;
  if (milliseconds === 0) return '0s';
  if (milliseconds < 1) return `${milliseconds * 1000}µs`;
  if (milliseconds < 1000) return `${milliseconds}ms`;
  const hours = Math.floor(milliseconds / 3600e3);
  const minutes = Math.floor((milliseconds % 3600e3) / 60e3);
  const seconds = `${(milliseconds % 60e3) / 1e3}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
};
