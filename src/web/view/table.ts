import { formatBytes, formatNumber } from '../model/format.js';
import { historyLength } from '../model/history.js';
import { type SortField, type TableRow } from '../model/rows.js';
import { rowAfterKey, scrollTopToShow, visibleRange, type ListGeometry } from '../model/virtual-list.js';
import { Chart } from './chart.js';
import { byId, el, setText } from './elements.js';

interface Column {
  readonly field: SortField;
  readonly title: string;
  readonly text: (row: TableRow) => string;
}

const realServersText = ({ realServers, draining }: TableRow): string =>
  draining > 0 ? `${realServers} (${draining} draining)` : String(realServers);

const columns: readonly Column[] = [
  { field: 'name', title: 'Name', text: ({ key }) => key },
  { field: 'connectionsPerSecond', title: 'Conn/s', text: (row) => formatNumber(row.connectionsPerSecond) },
  { field: 'active', title: 'Active', text: (row) => formatNumber(row.active) },
  { field: 'inBytesPerSecond', title: 'In/s', text: (row) => formatBytes(row.inBytesPerSecond) },
  { field: 'outBytesPerSecond', title: 'Out/s', text: (row) => formatBytes(row.outBytesPerSecond) },
  { field: 'realServers', title: 'Real servers', text: realServersText },
];

/** As in page.css. */
const rowHeight = 44;

interface RowElement {
  readonly element: HTMLElement;
  readonly note: HTMLElement;
  readonly name: HTMLElement;
  readonly cells: readonly HTMLElement[];
  readonly chart: Chart;
}

const makeRow = (): RowElement => {
  const name = el('span', { class: 'name' });
  const note = el('span', { class: 'note' });
  const chart = new Chart({ width: 60, height: 20, slots: historyLength });
  const first = el('div', { class: 'cell first', attributes: { role: 'gridcell' } }, name, note);
  const cells = columns
    .slice(1)
    .map(({ field }) => el('div', { class: `cell number ${field}`, attributes: { role: 'gridcell' } }));
  const plot = el(
    'div',
    { class: 'cell plot', attributes: { role: 'gridcell', 'aria-hidden': 'true' } },
    chart.element,
  );
  const element = el(
    'div',
    { class: 'row', attributes: { role: 'row', tabindex: '-1' } },
    first,
    plot,
    ...cells,
  );
  return { element, name, note, cells, chart };
};

export interface TableParts {
  readonly series: (row: TableRow) => readonly number[];
  readonly onOpen: (row: TableRow) => void;
  readonly onSort: (field: SortField) => void;
}

/** A table whose rows exist only while they are visible. */
export class Table {
  readonly #head = el('div', { class: 'row head', attributes: { role: 'row', 'aria-rowindex': '1' } });
  readonly #space = el('div', { class: 'space', attributes: { role: 'rowgroup' } });
  readonly #scroller = el('div', { class: 'scroller', attributes: { role: 'presentation' } });
  readonly #made: RowElement[] = [];
  readonly #titles = new Map<SortField, HTMLElement>();
  #rows: readonly TableRow[] = [];
  /** The key of the row that the Tab key reaches. */
  #current: string | undefined;

  constructor(private readonly parts: TableParts) {
    for (const column of columns) this.#head.append(this.#headCell(column));
    this.#head.children[0]?.after(
      el('div', { class: 'cell plot', attributes: { role: 'columnheader' } }, 'Last 2 min'),
    );
    this.#scroller.append(
      el('div', { class: 'top', attributes: { role: 'rowgroup' } }, this.#head),
      this.#space,
    );
    byId('rows').append(this.#scroller);
    this.#scroller.addEventListener('scroll', () => this.#draw(), { passive: true });
    this.#space.addEventListener('keydown', (event) => this.#keyDown(event));
    this.#space.addEventListener('click', (event) => this.#open(this.#rowAt(event.target)));
    this.#space.addEventListener('focusin', (event) => (this.#current = this.#rowAt(event.target)?.key));
    new ResizeObserver(() => this.#draw()).observe(this.#scroller);
  }

  /** Whether the user is in the table: its order must not change then. */
  get isFocused(): boolean {
    return this.#space.contains(document.activeElement);
  }

  /** Whether a row with the key is in the table, and focuses it. */
  focusRow(key: string): boolean {
    const index = this.#rows.findIndex((row) => row.key === key);
    if (index >= 0) this.#focus(index);
    return index >= 0;
  }

  show(rows: readonly TableRow[], sort: SortField, reversed: boolean): void {
    this.#rows = rows;
    byId('rows').setAttribute('aria-rowcount', String(rows.length + 1));
    for (const [field, cell] of this.#titles) {
      const ascending = (field === 'name') !== reversed;
      cell.setAttribute('aria-sort', field === sort ? (ascending ? 'ascending' : 'descending') : 'none');
    }
    this.#space.style.height = `${rows.length * rowHeight}px`;
    this.#draw();
  }

  #headCell({ field, title }: Column): HTMLElement {
    const button = el('button', { text: title, onclick: () => this.parts.onSort(field) });
    button.type = 'button';
    const cell = el('div', { class: `cell ${field}`, attributes: { role: 'columnheader' } }, button);
    this.#titles.set(field, cell);
    return cell;
  }

  #geometry(): ListGeometry {
    const { clientHeight, scrollTop } = this.#scroller;
    // The head covers the first row's height.
    return { rowHeight, height: clientHeight - rowHeight, scrollTop, count: this.#rows.length };
  }

  #draw(): void {
    const { first, end } = visibleRange(this.#geometry());
    const focused = this.isFocused ? this.#current : undefined;
    while (this.#made.length < end - first) {
      const row = makeRow();
      this.#made.push(row);
      this.#space.append(row.element);
    }
    for (const row of this.#made.splice(end - first)) row.element.remove();
    const hasCurrent = this.#rows.slice(first, end).some(({ key }) => key === this.#current);
    for (const [at, made] of this.#made.entries()) {
      const row = this.#rows[first + at];
      if (row !== undefined)
        this.#fill(made, row, first + at, hasCurrent ? row.key === this.#current : at === 0);
    }
    // Elements are reused: the focus stays with the row, not with the element.
    const index = this.#rows.findIndex(({ key }) => key === focused);
    const element = this.#made[index - first]?.element;
    if (focused !== undefined && element !== undefined && element !== document.activeElement)
      element.focus({ preventScroll: true });
  }

  #fill(
    { element, name, note, cells, chart }: RowElement,
    row: TableRow,
    index: number,
    isTabStop: boolean,
  ): void {
    element.style.transform = `translateY(${index * rowHeight}px)`;
    element.tabIndex = isTabStop ? 0 : -1;
    element.dataset['index'] = String(index);
    element.dataset['state'] = row.state ?? (row.draining > 0 ? 'draining' : '');
    element.setAttribute('aria-rowindex', String(index + 2));
    setText(name, row.key);
    setText(note, [row.note, row.state].filter(Boolean).join(' · '));
    for (const [at, cell] of cells.entries()) setText(cell, columns[at + 1]?.text(row) ?? '');
    chart.draw(this.parts.series(row));
  }

  #rowAt(target: EventTarget | null): TableRow | undefined {
    const element = target instanceof Element ? target.closest<HTMLElement>('.row') : null;
    return this.#rows[Number(element?.dataset['index'])];
  }

  #open(row: TableRow | undefined): void {
    if (row !== undefined) this.parts.onOpen(row);
  }

  #keyDown(event: KeyboardEvent): void {
    const row = this.#rowAt(event.target);
    if (row === undefined) return;
    if (event.key === 'Enter' || event.key === ' ') this.#open(row);
    else {
      const index = rowAfterKey(event.key, this.#rows.indexOf(row), this.#geometry());
      if (index === undefined) return;
      this.#focus(index);
    }
    event.preventDefault();
  }

  #focus(index: number): void {
    this.#scroller.scrollTop = scrollTopToShow(index, this.#geometry());
    this.#draw();
    this.#current = this.#rows[index]?.key;
    const { first } = visibleRange(this.#geometry());
    this.#made[index - first]?.element.focus({ preventScroll: true });
  }
}
