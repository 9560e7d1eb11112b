export interface ChartSize {
  readonly width: number;
  readonly height: number;
}

/** The upper end of the axis: 1, 2 or 5 times a power of ten, not less than any value. */
export const axisMaximum = (values: readonly number[]): number => {
  const highest = Math.max(1, ...values);
  const power = 10 ** Math.floor(Math.log10(highest));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= highest) ?? 10);
};

const round = (value: number): number => Math.round(value * 10) / 10;

/** An SVG path through the values, from the left edge to the right; 0 is the lower edge. */
export const linePath = (values: readonly number[], maximum: number, { width, height }: ChartSize): string =>
  values
    .map((value, index) => {
      const x = values.length < 2 ? 0 : (index / (values.length - 1)) * width;
      const y = height - (Math.min(value, maximum) / maximum) * height;
      return `${index === 0 ? 'M' : 'L'}${round(x)} ${round(y)}`;
    })
    .join('');

/** The same, closed along the lower edge. */
export const areaPath = (values: readonly number[], maximum: number, size: ChartSize): string =>
  values.length === 0
    ? ''
    : `${linePath(values, maximum, size)}L${size.width} ${size.height}L0 ${size.height}Z`;
