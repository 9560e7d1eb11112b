import { printable } from '../../base/text.js';
import { displayWidth } from './display-width.js';

/** Styles a text for a terminal without changing its width. */
export type Paint = (text: string) => string;

export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
  /** In terminal columns. */
  readonly minimumWidth?: number;
}

/** A text, or a text with its style. */
export type Cell = string | { readonly text: string; readonly paint: Paint };

const textOf = (cell: Cell | undefined): string =>
  printable(typeof cell === 'string' ? cell : (cell?.text ?? ''));

const padCell = (cell: Cell | undefined, width: number, { align }: Column): string => {
  const text = textOf(cell);
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)));
  const painted = cell === undefined || typeof cell === 'string' ? text : cell.paint(text);
  return align === 'left' ? painted + space : space + painted;
};

type Line = readonly Cell[];

const widthsOf = (columns: readonly Column[], lines: readonly Line[]): readonly number[] => {
  const widths = columns.map(({ minimumWidth = 0 }) => minimumWidth);
  for (const line of lines) {
    if (line.length === 1) continue;
    for (let index = 0; index < widths.length; index += 1) {
      const width = displayWidth(textOf(line[index]));
      if (width > (widths[index] ?? 0)) widths[index] = width;
    }
  }
  return widths;
};

/**
 * Yields lines of aligned cells, two spaces between columns and none at the end; with a line of titles unless `titles` is false.
 * A row of a single cell is a note, which may be wider than its column.
 */
export function* columnLines(
  columns: readonly Column[],
  rows: readonly Line[],
  options: { readonly titles: boolean; readonly paintTitle?: Paint },
): Iterable<string> {
  const { titles, paintTitle } = options;
  const head = columns.map(
    ({ title }): Cell => (paintTitle === undefined ? title : { text: title, paint: paintTitle }),
  );
  const widths = widthsOf(columns, titles ? [head, ...rows] : rows);
  const lineOf = (line: Line): string => {
    let text = '';
    for (const [index, column] of columns.entries())
      text += `${index === 0 ? '' : '  '}${padCell(line[index], widths[index] ?? 0, column)}`;
    return `${text.trimEnd()}\n`;
  };
  if (titles) yield lineOf(head);
  for (const row of rows) yield lineOf(row);
}

/** The same as one text. */
export const formatColumns = (...given: Parameters<typeof columnLines>): string =>
  [...columnLines(...given)].join('');
