export interface ChartSize {
  readonly width: number;
  readonly height: number;
  /** How many values fit; fewer are at the right edge. */
  readonly slots: number;
}

const factors = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/** The upper end of the axis, a round number not less than any value; `step` is 1000 or, for bytes, 1024. */
export const axisMaximum = (values: readonly number[], step: number): number => {
  const highest = Math.max(1, ...values);
  const unit = step ** Math.floor(Math.log(highest) / Math.log(step) + 1e-9);
  return unit * (factors.find((factor) => factor * unit >= highest) ?? step);
};

const round = (value: number): number => Math.round(value * 10) / 10;

const xOf = (index: number, count: number, { width, slots }: ChartSize): number =>
  round(((slots - count + index) / (slots - 1)) * width);

/** An SVG path through the values, the last one at the right edge; 0 is the lower edge. */
export const linePath = (values: readonly number[], maximum: number, size: ChartSize): string =>
  values
    .map((value, index) => {
      const y = size.height - (Math.min(value, maximum) / maximum) * size.height;
      return `${index === 0 ? 'M' : 'L'}${xOf(index, values.length, size)} ${round(y)}`;
    })
    .join('');

/** The same, closed along the lower edge. */
export const areaPath = (values: readonly number[], maximum: number, size: ChartSize): string =>
  values.length === 0
    ? ''
    : `${linePath(values, maximum, size)}L${size.width} ${size.height}L${xOf(0, values.length, size)} ${size.height}Z`;
