const digits = (value: number): string =>
  value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);

const scaled = (value: number, step: number, units: readonly string[]): string => {
  let scale = 0;
  let rest = value;
  while (rest >= step && scale < units.length - 1) {
    rest /= step;
    scale += 1;
  }
  return `${digits(rest)}${units[scale] ?? ''}`;
};

/** `1234` → `1.2k`; unknown values are negative. */
export const formatNumber = (value: number): string =>
  value < 0 ? '–' : scaled(value, 1_000, ['', 'k', 'M', 'G', 'T']);

/** `1536` → `1.5 KiB`, with a space that does not break */
export const formatBytes = (value: number): string =>
  value < 0 ? '–' : scaled(value, 1_024, ['\u00a0B', '\u00a0KiB', '\u00a0MiB', '\u00a0GiB', '\u00a0TiB']);
