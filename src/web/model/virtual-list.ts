/** A list of rows of equal height, of which only the visible ones exist. Heights are pixels. */
export interface ListGeometry {
  readonly rowHeight: number;
  readonly height: number;
  readonly scrollTop: number;
  readonly count: number;
}

/** Rows beyond both edges: scrolling by a little shows no gap. */
const overscan = 6;

/** The rows to make: from `first`, before `end`. */
export const visibleRange = ({
  rowHeight,
  height,
  scrollTop,
  count,
}: ListGeometry): { readonly first: number; readonly end: number } => {
  const first = Math.max(0, Math.min(count, Math.floor(scrollTop / rowHeight)) - overscan);
  const end = Math.min(count, Math.ceil((Math.max(0, scrollTop) + height) / rowHeight) + overscan);
  return { first: Math.min(first, end), end };
};

/** The scroll position that shows a row, as near to the present one as possible. */
export const scrollTopToShow = (index: number, { rowHeight, height, scrollTop }: ListGeometry): number => {
  const top = index * rowHeight;
  if (top < scrollTop) return top;
  return Math.max(scrollTop, top + rowHeight - height);
};

/** The row that a key moves to; undefined for other keys. */
export const rowAfterKey = (
  key: string,
  index: number,
  { rowHeight, height, count }: ListGeometry,
): number | undefined => {
  const page = Math.max(1, Math.floor(height / rowHeight) - 1);
  const steps: Readonly<Record<string, number>> = {
    ArrowDown: 1,
    ArrowUp: -1,
    PageDown: page,
    PageUp: -page,
    Home: -count,
    End: count,
  };
  const step = Object.hasOwn(steps, key) ? steps[key] : undefined;
  return step === undefined ? undefined : Math.max(0, Math.min(count - 1, index + step));
};
