import type { PageChunk, PageSample } from '../admin-api/page.js';
import { durationText } from '../cli/admin/service-index.js';
import { PageState } from './model/page-state.js';
import { filterRows, groupRows, sortRows, type SortField, type TableRow } from './model/rows.js';
import { Detail } from './view/detail.js';
import { byId, el, setText } from './view/elements.js';
import { listCount, listElements } from './view/lists.js';
import { locationHash, parseLocation, views, type View } from './view/links.js';
import { Table } from './view/table.js';
import { makeTotals } from './view/totals.js';

const titles: Readonly<Record<View, string>> = {
  services: 'Services',
  servers: 'Virtual servers',
  drains: 'Drains',
  drift: 'Drift',
  problems: 'Problems',
};

/** Connects the stream, the address and the parts of the page. */
class Page {
  readonly #state = new PageState();
  readonly #drawTotals = makeTotals();
  readonly #links = new Map<View, { readonly link: HTMLAnchorElement; readonly count: HTMLElement }>();
  readonly #detail = new Detail(
    () => this.#state.last?.status,
    () => this.#close(),
  );
  readonly #table = new Table({
    series: ({ ids }) => this.#state.rateSeries(ids),
    onOpen: (row) => this.#open(row),
    onSort: (field) => this.#sortBy(field),
  });
  readonly #filter = byId('filter') as HTMLInputElement;
  #sort: SortField = 'connectionsPerSecond';
  #isReversed = false;
  #order: readonly string[] = [];
  #opened: string | undefined;
  #stream: EventSource | undefined;
  #lists = '';

  start(): void {
    for (const view of views) this.#addLink(view);
    this.#filter.addEventListener('input', () => this.#drawTable(true));
    window.addEventListener('hashchange', () => this.#navigate());
    document.addEventListener('visibilitychange', () => this.#connect());
    this.#navigate();
    this.#connect();
  }

  #addLink(view: View): void {
    const count = el('span', { class: 'badge' });
    const link = el('a', { attributes: { href: `#${view}` } }, `${titles[view]} `, count);
    this.#links.set(view, { link, count });
    byId('views').append(el('li', {}, link));
  }

  /** A hidden page costs the daemon nothing. */
  #connect(): void {
    this.#stream?.close();
    this.#stream = undefined;
    if (document.hidden) return;
    const stream = new EventSource('/web/stream');
    this.#stream = stream;
    stream.addEventListener('open', () => this.#state.reset());
    stream.addEventListener('error', () => this.#disconnected(stream));
    stream.addEventListener('chunk', ({ data }) =>
      this.#state.apply(JSON.parse(data as string) as PageChunk),
    );
    stream.addEventListener('sample', ({ data }) => this.#sampled(JSON.parse(data as string) as PageSample));
  }

  #disconnected({ readyState }: EventSource): void {
    byId('connection').dataset['mark'] = 'fail';
    // The browser connects again by itself, unless the daemon refused the stream.
    setText(byId('connection'), readyState === EventSource.CLOSED ? 'Refused by the daemon' : 'Disconnected');
    if (readyState === EventSource.CLOSED) window.setTimeout(() => this.#connect(), 5_000);
  }

  #sampled(sample: PageSample): void {
    this.#state.finish(sample);
    byId('connection').dataset['mark'] = sample.error === undefined ? 'ok' : 'fail';
    setText(byId('connection'), sample.error === undefined ? 'Live' : `No counters: ${sample.error}`);
    this.#drawHeader(sample);
    this.#drawTotals(this.#state);
    this.#drawTable(false);
    this.#drawLists();
  }

  #drawHeader({ status }: PageSample): void {
    const { node, zone, healthy, synced, programVersion, kernelRelease, uptimeSeconds, counts, source } =
      status;
    setText(byId('node'), node);
    document.title = `${node} · kube-ipvs`;
    const facts: readonly (readonly [text: string, mark: string])[] = [
      healthy && synced ? ['healthy, in sync', 'ok'] : [synced ? 'not healthy' : 'not synced yet', 'fail'],
      ...(source.trouble === undefined ? [] : [[`source: ${source.trouble}`, 'warn'] as const]),
      [`${counts.services} Services`, ''],
      [`${counts.virtualServers} virtual servers`, ''],
      [`${counts.realServers} real servers`, ''],
      ...(zone === undefined ? [] : [[`zone ${zone}`, ''] as const]),
      [`version ${programVersion}, up ${durationText(uptimeSeconds)}, Linux ${kernelRelease}`, ''],
    ];
    byId('facts').replaceChildren(
      ...facts.map(([text, mark]) => el('li', { text, attributes: { 'data-mark': mark } })),
    );
  }

  #navigate(): void {
    const { view, service } = parseLocation(location.hash);
    for (const [name, { link }] of this.#links)
      if (name === view) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    const isTable = view === 'services' || view === 'servers';
    byId('table').hidden = !isTable;
    byId('lists').hidden = isTable;
    setText(byId('table-title'), titles[view]);
    byId('lists').setAttribute('aria-label', titles[view]);
    this.#detail.show(service);
    this.#drawTable(true);
    this.#drawLists();
  }

  #drawTable(isReordered: boolean): void {
    const { view } = parseLocation(location.hash);
    if (view !== 'services' && view !== 'servers') return;
    const all = groupRows(this.#state.servers.values(), view);
    const found = filterRows(all, this.#filter.value);
    const rows =
      isReordered || !this.#table.isFocused
        ? sortRows(found, this.#sort, this.#isReversed)
        : this.#keepOrder(found);
    this.#order = rows.map(({ key }) => key);
    setText(
      byId('count'),
      found.length === all.length ? String(all.length) : `${found.length} of ${all.length}`,
    );
    this.#table.show(rows, this.#sort, this.#isReversed);
  }

  /** While the user is in the table, rows stay where they are; new ones come last. */
  #keepOrder(rows: readonly TableRow[]): readonly TableRow[] {
    const byKey = new Map(rows.map((row) => [row.key, row]));
    const known = this.#order.flatMap((key) => byKey.get(key) ?? []);
    const keys = new Set(this.#order);
    return [...known, ...rows.filter(({ key }) => !keys.has(key))];
  }

  #drawLists(): void {
    const sample = this.#state.last;
    if (sample === undefined) return;
    for (const view of ['drains', 'drift', 'problems'] as const) {
      const badge = this.#links.get(view)?.count;
      const count = listCount(view, sample);
      if (badge !== undefined) setText(badge, count === 0 ? '' : String(count));
    }
    const { view } = parseLocation(location.hash);
    if (view === 'services' || view === 'servers' || byId('lists').contains(document.activeElement)) return;
    const elements = listElements(view, sample);
    const text = elements.map(({ textContent }) => textContent).join('\n');
    if (text !== this.#lists) byId('lists').replaceChildren(...elements);
    this.#lists = text;
  }

  #open({ key, service }: TableRow): void {
    if (service === undefined) return;
    this.#opened = key;
    const { view } = parseLocation(location.hash);
    location.hash = locationHash({ view, service });
  }

  #close(): void {
    const { view } = parseLocation(location.hash);
    location.hash = locationHash({ view, service: undefined });
    if (this.#opened === undefined || !this.#table.focusRow(this.#opened))
      this.#links.get(view)?.link.focus();
    this.#opened = undefined;
  }

  #sortBy(field: SortField): void {
    this.#isReversed = field === this.#sort && !this.#isReversed;
    this.#sort = field;
    this.#drawTable(true);
  }
}

new Page().start();
