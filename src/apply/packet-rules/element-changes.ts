import type { NftablesChange } from '../../kernel/nftables/changes.js';
import type { SetElement, TableDeclaration } from '../../nftables/declarations.js';
import { setDeclaration } from '../../plan/packet-rules/packet-sets.js';

/** Groups the elements by set. */
const bySet = (elements: Iterable<SetElement>): ReadonlyMap<string, readonly SetElement[]> => {
  const sets = new Map<string, SetElement[]>();
  for (const element of elements) {
    const ofSet = sets.get(element.set);
    if (ofSet === undefined) sets.set(element.set, [element]);
    else ofSet.push(element);
  }
  return sets;
};

/** What names a table. */
export type TableId = Pick<TableDeclaration, 'family' | 'name'>;

/** The changes that add or delete the elements, one per set. */
export const elementChanges = (
  kind: 'add-elements' | 'delete-elements',
  { family, name: table }: TableId,
  elements: Iterable<SetElement>,
): readonly NftablesChange[] =>
  [...bySet(elements)].flatMap(([name, ofSet]) => {
    const set = setDeclaration(name);
    return set === undefined ? [] : [{ kind, family, table, set, elements: ofSet }];
  });
