import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PageSample, PageServer } from '../../src/admin-api/page.js';
import { areaPath, axisMaximum, linePath } from '../../src/web/model/chart-path.js';
import { formatBytes, formatNumber } from '../../src/web/model/format.js';
import { historyLength, newHistory, record, seriesOf } from '../../src/web/model/history.js';
import { PageState } from '../../src/web/model/page-state.js';
import { filterRows, groupRows, sortRows } from '../../src/web/model/rows.js';
import { rowAfterKey, scrollTopToShow, visibleRange } from '../../src/web/model/virtual-list.js';

const geometry = { rowHeight: 10, height: 100, scrollTop: 0, count: 10_000 };

test('a list of 10,000 rows makes those on the screen and a few around them', () => {
  assert.deepEqual(visibleRange(geometry), { first: 0, end: 16 });
  assert.deepEqual(visibleRange({ ...geometry, scrollTop: 5_005 }), { first: 494, end: 517 });
  assert.deepEqual(visibleRange({ ...geometry, scrollTop: 99_900 }), { first: 9_984, end: 10_000 });
  assert.deepEqual(visibleRange({ ...geometry, count: 3 }), { first: 0, end: 3 });
  assert.deepEqual(visibleRange({ ...geometry, count: 0 }), { first: 0, end: 0 });
  // The list became shorter than the scroll position.
  assert.deepEqual(visibleRange({ ...geometry, scrollTop: 5_000, count: 2 }), { first: 0, end: 2 });
});

test('keys move by rows and pages, and stop at the ends', () => {
  const after = (key: string, index: number) => rowAfterKey(key, index, geometry);
  assert.deepEqual(
    [after('ArrowDown', 0), after('ArrowUp', 0), after('PageDown', 5), after('PageUp', 5)],
    [1, 0, 14, 0],
  );
  assert.deepEqual([after('End', 5), after('Home', 5), after('ArrowDown', 9_999)], [9_999, 0, 9_999]);
  assert.equal(after('constructor', 5), undefined);
});

test('a row is shown with the least scrolling', () => {
  const at = (index: number) => scrollTopToShow(index, { ...geometry, scrollTop: 500 });
  assert.deepEqual([at(0), at(49), at(50), at(59), at(60), at(100)], [0, 490, 500, 500, 510, 910]);
});

test('a history has the last two minutes, with the gaps filled', () => {
  const history = newHistory(0);
  record(history, 0, 5);
  record(history, 3, 7);
  assert.deepEqual(seriesOf(history, 3), [5, 5, 5, 7]);
  assert.deepEqual(seriesOf(history, 5), [5, 5, 5, 7, 7, 7]);
  record(history, 1_000, 1);
  const series = seriesOf(history, 1_000);
  assert.equal(series.length, historyLength);
  assert.deepEqual([series.at(0), series.at(-2), series.at(-1)], [7, 7, 1]);
});

test('the axis ends at a round number, of bytes too', () => {
  const ends = [[], [0], [1], [3], [49], [51], [1_000], [1_001]].map((values) => axisMaximum(values, 1_000));
  assert.deepEqual(ends, [1, 1, 1, 5, 50, 100, 1_000, 2_000]);
  assert.equal(axisMaximum([1_500_000], 1_024), 2 * 1_024 ** 2);
  assert.equal(axisMaximum([1_000_000], 1_024), 1_024 ** 2);
});

test('a chart has the last value at the right edge, and 0 at the bottom', () => {
  const size = { width: 90, height: 10, slots: 4 };
  assert.equal(linePath([0, 5, 10, 20], 10, size), 'M0 10L30 5L60 0L90 0');
  assert.equal(linePath([5, 0], 10, size), 'M60 5L90 10');
  assert.equal(areaPath([5, 0], 10, size), 'M60 5L90 10L90 10L60 10Z');
  assert.equal(areaPath([], 10, size), '');
});

test('numbers are short', () => {
  assert.deepEqual([-1, 0, 0.5, 999, 1_234, 250_000].map(formatNumber), [
    '–',
    '0',
    '0.5',
    '999',
    '1.2k',
    '250k',
  ]);
  assert.deepEqual([0, 1_536, 1_024 ** 3].map(formatBytes), ['0\u00a0B', '1.5\u00a0KiB', '1\u00a0GiB']);
});

const server = (id: number, key: string, changes: Partial<PageServer> = {}): PageServer => ({
  id,
  key,
  realServers: 2,
  draining: 0,
  ...changes,
});
const web = server(1, 'TCP 10.0.0.1:80', { service: 'shop/web', frontend: 'ClusterIP', scheduler: 'rr' });
const webNode = server(2, 'TCP 192.0.2.1:30080', { service: 'shop/web', draining: 1, frontend: 'NodePort' });
const orphan = server(3, 'UDP 10.0.0.9:53', { state: 'orphaned' });
const sample = {} as PageSample;

const stateOf = (): PageState => {
  const state = new PageState();
  state.apply({ servers: [web, webNode, orphan], loads: [], removed: [] });
  state.apply({
    servers: [],
    loads: [
      [1, [4, 1, 10, 100, 1_000, 0, 0]],
      [2, [-1, -1, 5, 50, 500, 0, 0]],
      [99, [1, 1, 1, 1, 1, 1, 1]],
    ],
    removed: [],
  });
  return state;
};

test('the state follows the stream: servers, loads, removals and a new beginning', () => {
  const state = stateOf();
  state.finish(sample);
  assert.deepEqual(seriesOf(state.totals.connectionsPerSecond, 0), [15]);
  assert.deepEqual(seriesOf(state.totals.active, 0), [4]);
  // A changed description keeps the load.
  state.apply({ servers: [{ ...web, realServers: 9 }], loads: [], removed: [2] });
  state.finish(sample);
  assert.deepEqual(state.rateSeries([1]), [10, 10]);
  assert.deepEqual(state.rateSeries([1, 2, 3]), [10, 10]);
  assert.deepEqual([...state.servers.keys()], [1, 3]);
  state.reset();
  state.finish(sample);
  assert.deepEqual([...state.servers.keys()], []);
  assert.deepEqual(seriesOf(state.totals.connectionsPerSecond, 2), [15, 10, 0]);
});

test('rows are Services with all their virtual servers, or virtual servers', () => {
  const { servers } = stateOf();
  const services = groupRows(servers.values(), 'services');
  assert.deepEqual(
    services.map(({ key, ids, active, connectionsPerSecond, draining, state }) => ({
      key,
      ids,
      active,
      connectionsPerSecond,
      draining,
      state,
    })),
    [
      { key: 'shop/web', ids: [1, 2], active: 4, connectionsPerSecond: 15, draining: 1, state: undefined },
      { key: orphan.key, ids: [3], active: -1, connectionsPerSecond: 0, draining: 0, state: 'orphaned' },
    ],
  );
  assert.deepEqual(
    groupRows(servers.values(), 'servers').map(({ key }) => key),
    [web.key, webNode.key, orphan.key],
  );
});

test('rows are sorted and filtered', () => {
  const rows = groupRows(stateOf().servers.values(), 'servers');
  const keys = (sorted: typeof rows) => sorted.map(({ ids }) => ids[0]);
  assert.deepEqual(keys(sortRows(rows, 'connectionsPerSecond', false)), [1, 2, 3]);
  assert.deepEqual(keys(sortRows(rows, 'connectionsPerSecond', true)), [3, 2, 1]);
  assert.deepEqual(keys(sortRows(rows, 'name', false)), [1, 2, 3]);
  assert.deepEqual(keys(filterRows(rows, 'SHOP nodeport')), [2]);
  assert.deepEqual(keys(filterRows(rows, 'draining')), [2]);
  assert.deepEqual(keys(filterRows(rows, ' ')), [1, 2, 3]);
});
