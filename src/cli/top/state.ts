import { groupings, sortFields, type Grouping, type Place, type Row, type SortField } from './rows.js';

/** What a screen shows and how; what flows comes from elsewhere. */
export interface TopState {
  readonly place: Place;
  readonly sort: SortField;
  readonly reversed: boolean;
  readonly filter: string;
  /** Whether what is typed goes to the filter. */
  readonly isTyping: boolean;
  /** Of the row that is marked; the first one where it is not there (any more). */
  readonly marked: string | undefined;
  readonly isPaused: boolean;
  readonly showsHelp: boolean;
}

export const startState = (
  start: Partial<Pick<TopState, 'sort' | 'filter'>> & { readonly grouping?: Grouping } = {},
): TopState => ({
  place: { grouping: start.grouping ?? 'service' },
  sort: start.sort ?? 'connections',
  reversed: false,
  filter: start.filter ?? '',
  isTyping: false,
  marked: undefined,
  isPaused: false,
  showsHelp: false,
});

/** A key as node:readline tells it: its name, or the text it types. */
export interface Key {
  readonly name: string | undefined;
  readonly text: string | undefined;
  readonly control: boolean;
}

const next = <Item>(items: readonly Item[], item: Item): Item =>
  items[(items.indexOf(item) + 1) % items.length] ?? item;

const move = (state: TopState, rows: readonly Row[], by: number): TopState => {
  if (rows.length === 0) return state;
  const at = Math.max(
    0,
    rows.findIndex(({ key }) => key === state.marked),
  );
  const to = Math.min(rows.length - 1, Math.max(0, at + by));
  return { ...state, marked: rows[to]?.key };
};

/** Whether the rows of a place can be opened, and where that leads. */
const inside = (place: Place, key: string): Place | undefined => {
  if (place.virtual !== undefined || place.real !== undefined) return undefined;
  if (place.grouping === 'real') return { ...place, real: key };
  if (place.grouping === 'service' && place.service === undefined) return { ...place, service: key };
  return { ...place, virtual: key };
};

const open = (state: TopState, rows: readonly Row[]): TopState => {
  const row = rows.find(({ key }) => key === state.marked) ?? rows[0];
  const place = row === undefined ? undefined : inside(state.place, row.key);
  return place === undefined ? state : { ...state, place, marked: undefined, filter: '' };
};

/** Out of what was opened last, onto its row. */
const leave = (state: TopState): TopState => {
  const { grouping, service, virtual, real } = state.place;
  if (virtual !== undefined) return { ...state, place: { grouping, service }, marked: virtual, filter: '' };
  if (real !== undefined) return { ...state, place: { grouping }, marked: real, filter: '' };
  if (service !== undefined) return { ...state, place: { grouping }, marked: service, filter: '' };
  return { ...state, filter: '' };
};

const typed = (state: TopState, { name, text }: Key): TopState => {
  if (name === 'return' || name === 'enter') return { ...state, isTyping: false };
  if (name === 'escape') return { ...state, isTyping: false, filter: '' };
  if (name === 'backspace') return { ...state, filter: state.filter.slice(0, -1) };
  return text !== undefined && /^[\x20-\x7e]+$/.test(text)
    ? { ...state, filter: state.filter + text }
    : state;
};

type Action = (state: TopState, rows: readonly Row[], page: number) => TopState;

const leaveAction: Action = (state) => leave(state);
const openAction: Action = (state, rows) => open(state, rows);
const up: Action = (state, rows) => move(state, rows, -1);
const down: Action = (state, rows) => move(state, rows, 1);
const helpAction: Action = (state) => ({ ...state, showsHelp: true });

/** By the name of the key, or by what it types. */
const actions: Readonly<Record<string, Action>> = {
  up,
  k: up,
  down,
  j: down,
  pageup: (state, rows, page) => move(state, rows, -page),
  pagedown: (state, rows, page) => move(state, rows, page),
  home: (state, rows) => move(state, rows, -rows.length),
  end: (state, rows) => move(state, rows, rows.length),
  return: openAction,
  enter: openAction,
  right: openAction,
  left: leaveAction,
  escape: leaveAction,
  backspace: leaveAction,
  tab: (state) => ({
    ...state,
    place: { grouping: next(groupings, state.place.grouping) },
    marked: undefined,
    filter: '',
  }),
  s: (state) => ({ ...state, sort: next(sortFields, state.sort), reversed: false }),
  r: (state) => ({ ...state, reversed: !state.reversed }),
  '/': (state) => ({ ...state, isTyping: true, filter: '' }),
  p: (state) => ({ ...state, isPaused: !state.isPaused }),
  space: (state) => ({ ...state, isPaused: !state.isPaused }),
  h: helpAction,
  '?': helpAction,
};

/** The state after a key; undefined: it asks to end. `rows` are those on the screen, in their order; `page` is how many fit. */
export const afterKey = (
  state: TopState,
  key: Key,
  rows: readonly Row[],
  page: number,
): TopState | undefined => {
  if (key.control) return key.name === 'c' || key.name === 'd' ? undefined : state;
  if (state.isTyping) return typed(state, key);
  if (state.showsHelp) return { ...state, showsHelp: false };
  if (key.name === 'q') return undefined;
  const action = actions[key.name ?? ''] ?? actions[key.text ?? ''];
  return action === undefined ? state : action(state, rows, page);
};
