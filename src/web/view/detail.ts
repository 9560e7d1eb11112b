import type { PageRealServersResponse } from '../../admin-api/page.js';
import type {
  ErrorResponse,
  RealServerDescription,
  ServedVirtualServerResponse,
  ServiceReportResponse,
  StatusResponse,
} from '../../admin-api/responses.js';
import { realServerStateText } from '../../cli/admin/service-index.js';
import type { CheckLine, Mark } from '../../cli/explain/facts.js';
import type { Section, ServiceReport } from '../../cli/explain/service-report.js';
import { explainService } from '../model/explain.js';
import { formatBytes, formatNumber } from '../model/format.js';
import { byId, el, setText } from './elements.js';
import { plainTable } from './lists.js';

const marks: Readonly<Record<Mark, readonly [sign: string, word: string]>> = {
  ok: ['✓', 'good'],
  note: ['·', 'note'],
  warn: ['!', 'warning'],
  fail: ['✗', 'error'],
};

const lineElement = ({ mark, text, details = [], remedies = [] }: CheckLine): HTMLElement => {
  const [sign, word] = marks[mark];
  const signed = { role: 'img', 'aria-label': word, 'data-mark': mark };
  return el(
    'li',
    {},
    el('span', { class: 'sign', text: sign, attributes: signed }),
    el(
      'div',
      {},
      el('p', { text }),
      details.length > 0 && el('pre', { text: details.join('\n'), attributes: { tabindex: '0' } }),
      ...remedies.map(({ advice, command }) =>
        el('p', { class: 'remedy' }, advice, command !== undefined && el('code', { text: command })),
      ),
    ),
  );
};

const sectionElement = ({ title, lines }: Pick<Section, 'title' | 'lines'>): HTMLElement =>
  el('section', {}, el('h3', { text: title }), el('ul', { class: 'checks' }, ...lines.map(lineElement)));

/** How many real servers of a virtual server are shown. */
const maximumRealServers = 200;

const placeOf = ({ pod, node }: Partial<RealServerDescription> = {}): string =>
  [pod, node].filter(Boolean).join(' on ');

const realServerTable = (
  { key, frontend, realServers }: ServedVirtualServerResponse,
  counters: PageRealServersResponse,
): HTMLElement => {
  const shown = (counters.virtualServers[key] ?? []).slice(0, maximumRealServers);
  const hidden = (counters.virtualServers[key]?.length ?? 0) - shown.length;
  const rows = shown.map((real) => {
    const description = realServers[real.key];
    return [
      el('div', {}, real.key, el('span', { class: 'note', text: placeOf(description) })),
      (description && realServerStateText(description)) || (real.weight === 0 ? 'weight 0' : 'in use'),
      formatNumber(real.active),
      formatNumber(real.connectionsPerSecond),
      formatBytes(real.inBytesPerSecond),
      formatBytes(real.outBytesPerSecond),
    ];
  });
  const caption = [key, frontend, hidden > 0 && `${hidden} more`].filter(Boolean).join(' · ');
  const titles = ['Real server', 'State', 'Active', 'Conn/s', 'In/s', 'Out/s'];
  return rows.length === 0
    ? el('p', { class: 'empty', text: `${caption}: no real servers, connections are refused.` })
    : plainTable(caption, titles, rows);
};

const read = async <T>(path: string, service: string): Promise<T> => {
  const response = await fetch(`${path}?service=${encodeURIComponent(service)}`);
  const body = (await response.json()) as T | ErrorResponse;
  if (!response.ok) throw new Error((body as ErrorResponse).error);
  return body as T;
};

/** How often an open Service is read again. */
const refreshMilliseconds = 4_000;

/** The explanation of the Service that was clicked. */
export class Detail {
  readonly #title = el('h2', { attributes: { id: 'detail-title', tabindex: '-1' } });
  readonly #verdict = el('p', { class: 'verdict' });
  readonly #body = el('div', { class: 'body' });
  /** As in page.css: the detail covers the rest of a narrow page. */
  readonly #isCovering = matchMedia('(max-width: 1199px)');
  #service: string | undefined;
  #timer: number | undefined;
  #shown = '';

  constructor(
    private readonly status: () => StatusResponse | undefined,
    onClose: () => void,
  ) {
    const close = el('button', { text: 'Close', onclick: onClose });
    close.type = 'button';
    byId('detail').append(el('div', { class: 'bar' }, this.#title, close), this.#verdict, this.#body);
    byId('detail').addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') onClose();
    });
    this.#isCovering.addEventListener('change', () => this.#updateCovered());
  }

  /** Shows a Service; undefined: none. */
  show(service: string | undefined): void {
    if (service === this.#service) return;
    this.#service = service;
    clearTimeout(this.#timer);
    byId('detail').hidden = service === undefined;
    document.body.classList.toggle('with-detail', service !== undefined);
    this.#updateCovered();
    if (service === undefined) return;
    setText(this.#title, service);
    setText(this.#verdict, 'Loading…');
    this.#verdict.dataset['mark'] = 'note';
    this.#body.replaceChildren();
    this.#shown = '';
    this.#title.focus();
    void this.#refresh(service);
  }

  #updateCovered(): void {
    for (const element of document.querySelectorAll<HTMLElement>('header, main'))
      element.inert = this.#isCovering.matches && this.#service !== undefined;
  }

  async #refresh(service: string): Promise<void> {
    try {
      const [report, counters] = await Promise.all([
        read<ServiceReportResponse>('/web/service', service),
        read<PageRealServersResponse>('/web/real-servers', service),
      ]);
      const status = this.status();
      if (service === this.#service && status !== undefined)
        this.#draw(explainService(report, counters, status), report, counters);
    } catch (error) {
      if (service === this.#service) this.#fail(error instanceof Error ? error.message : String(error));
    }
    if (service === this.#service)
      this.#timer = window.setTimeout(() => void this.#refreshIfVisible(service), refreshMilliseconds);
  }

  async #refreshIfVisible(service: string): Promise<void> {
    if (document.hidden)
      await new Promise((done) => document.addEventListener('visibilitychange', done, { once: true }));
    if (service === this.#service) await this.#refresh(service);
  }

  #fail(message: string): void {
    this.#verdict.dataset['mark'] = 'fail';
    setText(this.#verdict, message);
  }

  #draw(
    { verdict, sections }: ServiceReport,
    { virtualServers }: ServiceReportResponse,
    counters: PageRealServersResponse,
  ): void {
    const text = JSON.stringify([verdict, sections, counters]);
    // What a reader selected or focused stays while nothing changes.
    if (text === this.#shown || this.#body.contains(document.activeElement)) return;
    this.#shown = text;
    this.#verdict.dataset['mark'] = verdict.mark;
    setText(this.#verdict, `${marks[verdict.mark][0]} ${verdict.text}`);
    this.#body.replaceChildren(
      el(
        'section',
        {},
        el('h3', { text: 'Virtual and real servers' }),
        ...virtualServers.map((one) => realServerTable(one, counters)),
      ),
      ...sections.map(sectionElement),
    );
  }
}
