/** How a text looks on a terminal; it must not change the text's width. */
export type Paint = (text: string) => string;

export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
  /** How wide it is at least. */
  readonly least?: number;
}

/** A text, or a text with its look. */
export type Cell = string | { readonly text: string; readonly paint: Paint };

const textOf = (cell: Cell | undefined): string => (typeof cell === 'string' ? cell : (cell?.text ?? ''));

const pad = (cell: Cell | undefined, width: number, { align }: Column): string => {
  const text = textOf(cell);
  const space = ' '.repeat(Math.max(0, width - text.length));
  const painted = cell === undefined || typeof cell === 'string' ? text : cell.paint(text);
  return align === 'left' ? `${painted}${space}` : `${space}${painted}`;
};

/**
 * Lines of aligned cells, two spaces between columns and none at the end; with a line of titles unless `titles` is false.
 * A row of a single cell is a note that may be wider than its column.
 */
export const formatColumns = (
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  options: { readonly titles: boolean; readonly paintTitle?: Paint },
): string => {
  const { titles, paintTitle } = options;
  const head = columns.map(
    ({ title }): Cell => (paintTitle === undefined ? title : { text: title, paint: paintTitle }),
  );
  const lines = titles ? [head, ...rows] : rows;
  // No spreading into Math.max: a big table has more lines than a call may have arguments.
  const widths = columns.map(({ least = 0 }, index) =>
    lines.reduce(
      (width, line) => (line.length === 1 ? width : Math.max(width, textOf(line[index]).length)),
      least,
    ),
  );
  return lines
    .map((line) => columns.map((column, index) => pad(line[index], widths[index] ?? 0, column)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
};
