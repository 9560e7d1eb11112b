import { groupings, sortFields, type Grouping, type View, type Row, type SortField } from './rows.js';

/** What the screen shows and how. The load is not part of it. */
export interface TopState {
  readonly view: View;
  readonly sort: SortField;
  readonly reversed: boolean;
  readonly filter: string;
  /** Whether keys edit the filter. */
  readonly isTyping: boolean;
  /** The key of the marked row; if there is no such row, the first row is marked. */
  readonly selected: string | undefined;
  readonly isPaused: boolean;
  readonly showsHelp: boolean;
}

export const initialState = (
  start: Partial<Pick<TopState, 'sort' | 'filter'>> & { readonly grouping?: Grouping } = {},
): TopState => ({
  view: { grouping: start.grouping ?? 'service' },
  sort: start.sort ?? 'connections',
  reversed: false,
  filter: start.filter ?? '',
  isTyping: false,
  selected: undefined,
  isPaused: false,
  showsHelp: false,
});

/** A key as node:readline reports it: its name, or the text it types. */
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
    rows.findIndex(({ key }) => key === state.selected),
  );
  const to = Math.min(rows.length - 1, Math.max(0, at + by));
  return { ...state, selected: rows[to]?.key };
};

/** The view inside a row; undefined where rows cannot be opened. */
const openedView = (view: View, key: string): View | undefined => {
  if (view.virtual !== undefined || view.real !== undefined) return undefined;
  if (view.grouping === 'real') return { ...view, real: key };
  if (view.grouping === 'service' && view.service === undefined) return { ...view, service: key };
  return { ...view, virtual: key };
};

const open = (state: TopState, rows: readonly Row[]): TopState => {
  const row = rows.find(({ key }) => key === state.selected) ?? rows[0];
  const view = row === undefined ? undefined : openedView(state.view, row.key);
  return view === undefined ? state : { ...state, view, selected: undefined, filter: '' };
};

/** Closes the row that was opened last, and marks it. */
const goBack = (state: TopState): TopState => {
  const { grouping, service, virtual, real } = state.view;
  if (virtual !== undefined) return { ...state, view: { grouping, service }, selected: virtual, filter: '' };
  if (real !== undefined) return { ...state, view: { grouping }, selected: real, filter: '' };
  if (service !== undefined) return { ...state, view: { grouping }, selected: service, filter: '' };
  return { ...state, filter: '' };
};

const afterTyping = (state: TopState, { name, text }: Key): TopState => {
  if (name === 'return' || name === 'enter') return { ...state, isTyping: false };
  if (name === 'escape') return { ...state, isTyping: false, filter: '' };
  if (name === 'backspace') return { ...state, filter: state.filter.slice(0, -1) };
  return text !== undefined && /^[\x20-\x7e]+$/.test(text)
    ? { ...state, filter: state.filter + text }
    : state;
};

type Action = (state: TopState, rows: readonly Row[], page: number) => TopState;

const leaveAction: Action = (state) => goBack(state);
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
    view: { grouping: next(groupings, state.view.grouping) },
    selected: undefined,
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

/** The state after a key; undefined: quit. `rows` are those on the screen in their order, `page` is how many fit. */
export const afterKey = (
  state: TopState,
  key: Key,
  rows: readonly Row[],
  page: number,
): TopState | undefined => {
  if (key.control) return key.name === 'c' || key.name === 'd' ? undefined : state;
  if (state.isTyping) return afterTyping(state, key);
  if (state.showsHelp) return { ...state, showsHelp: false };
  if (key.name === 'q') return undefined;
  const action = actions[key.name ?? ''] ?? actions[key.text ?? ''];
  return action === undefined ? state : action(state, rows, page);
};
