import { areaPath, axisMaximum, linePath, type ChartSize } from '../model/chart-path.js';
import { svg } from './elements.js';

/** A small chart of the last samples; the numbers are beside it as text. */
export class Chart {
  readonly element: SVGSVGElement;
  readonly #area = svg('path', { class: 'area' });
  readonly #line = svg('path', { class: 'line', 'vector-effect': 'non-scaling-stroke' });

  constructor(
    private readonly size: ChartSize,
    private readonly step = 1_000,
  ) {
    const viewBox = `0 -1 ${size.width} ${size.height + 2}`;
    const attributes = { class: 'chart', viewBox, preserveAspectRatio: 'none', 'aria-hidden': 'true' };
    this.element = svg('svg', attributes, this.#area, this.#line);
  }

  /** Draws the values and returns the upper end of the axis. */
  draw(values: readonly number[]): number {
    const maximum = axisMaximum(values, this.step);
    this.#area.setAttribute('d', areaPath(values, maximum, this.size));
    this.#line.setAttribute('d', linePath(values, maximum, this.size));
    return maximum;
  }
}
