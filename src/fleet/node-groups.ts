/** What a node answered, or why it did not. */
export type NodeAnswer<Answer> =
  | { readonly node: string; readonly answer: Answer; readonly reason?: undefined }
  | { readonly node: string; readonly answer?: undefined; readonly reason: string };

/** Nodes that are alike. */
export interface NodeGroup<Content> {
  /** In order of their names. */
  readonly nodes: readonly string[];
  /** That of the first node that was added. */
  readonly content: Content;
}

/** Made at the first comparison: it loads much data. */
let collator: Intl.Collator | undefined;

/** `node-2` comes before `node-10`. */
export const compareNames = (a: string, b: string): number =>
  (collator ??= new Intl.Collator('en', { numeric: true })).compare(a, b);

/** Groups nodes as their answers arrive. It keeps one content for each group, so its size does not depend on the number of nodes. */
export class NodeGroups<Content> {
  readonly #groups = new Map<string, { readonly nodes: string[]; readonly content: Content }>();

  /** Nodes with the same key are alike; `content` is called for the first of them. */
  add(node: string, key: string, content: () => Content): void {
    const group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, { nodes: [node], content: content() });
    else group.nodes.push(node);
  }

  /** The largest group first. */
  all(): readonly NodeGroup<Content>[] {
    return [...this.#groups.values()]
      .map(({ nodes, content }) => ({ nodes: nodes.toSorted(compareNames), content }))
      .toSorted(
        (a, b) => b.nodes.length - a.nodes.length || compareNames(a.nodes[0] ?? '', b.nodes[0] ?? ''),
      );
  }
}

/** `400 nodes alike`, or `397 nodes alike, 3 differ`. */
export const agreementText = (alike: number, differing: number): string => {
  const nodes = (count: number): string => `${count} node${count === 1 ? '' : 's'}`;
  if (differing === 0) return `${nodes(alike)} alike`;
  return `${nodes(alike)} alike, ${differing} ${differing === 1 ? 'differs' : 'differ'}`;
};
