import { formatBytes, formatNumber } from '../model/format.js';
import { historyLength, seriesOf } from '../model/history.js';
import { totalNames, type PageState, type TotalName } from '../model/page-state.js';
import { Chart } from './chart.js';
import { byId, el, setText } from './elements.js';

const titles: Readonly<
  Record<TotalName, readonly [title: string, format: (value: number) => string, step: number]>
> = {
  connectionsPerSecond: ['Connections/s', formatNumber, 1_000],
  active: ['Active connections', formatNumber, 1_000],
  inBytesPerSecond: ['From clients/s', formatBytes, 1_024],
  outBytesPerSecond: ['To clients/s', formatBytes, 1_024],
};

interface Tile {
  readonly chart: Chart;
  readonly value: HTMLElement;
  readonly axis: HTMLElement;
}

const makeTile = (name: TotalName): Tile => {
  const tile = {
    chart: new Chart({ width: 120, height: 30, slots: historyLength }, titles[name][2]),
    value: el('strong', { text: '–' }),
    axis: el('small', { class: 'axis' }),
  };
  const chart = el('div', { class: 'plot' }, tile.axis, tile.chart.element);
  byId('totals').append(el('div', { class: 'tile' }, el('h2', { text: titles[name][0] }), tile.value, chart));
  return tile;
};

/** The charts of the whole node; returns how to draw them. */
export const makeTotals = (): ((state: PageState) => void) => {
  const tiles = totalNames.map((name) => [name, makeTile(name)] as const);
  return ({ totals, samples }) => {
    for (const [name, { chart, value, axis }] of tiles) {
      const values = seriesOf(totals[name], samples - 1);
      const [, format] = titles[name];
      setText(value, format(values.at(-1) ?? 0));
      setText(axis, format(chart.draw(values)));
    }
  };
};
