import { tableText } from '../../nftables/table-text.js';
import type { SetDeclaration, TableDeclaration } from '../../nftables/declarations.js';

const byName = (a: { readonly name: string }, b: { readonly name: string }): number =>
  a.name < b.name ? -1 : Number(a.name > b.name);

/** The text is equal for equal tables, regardless of the order in which their parts were created. */
const formatTable = (declaration: TableDeclaration): string =>
  tableText(
    {
      ...declaration,
      sets: declaration.sets.toSorted(byName),
      chains: declaration.chains.toSorted(byName),
    },
    undefined,
    { counters: false },
  );

/** A declaration stays the same object until it changes, and every sync needs its text. */
const texts = new WeakMap<TableDeclaration, string>();

export const cachedTableText = (declaration: TableDeclaration): string => {
  const text = texts.get(declaration) ?? formatTable(declaration);
  texts.set(declaration, text);
  return text;
};

export const sameSet = (a: SetDeclaration, b: SetDeclaration): boolean =>
  a.verdicts === b.verdicts && (a.marks ?? false) === (b.marks ?? false) && a.key.join() === b.key.join();

const hookText = ({ hook }: TableDeclaration['chains'][number]): string => JSON.stringify(hook ?? null);

/** Whether the table can be updated by replacing its rules and adding missing sets and chains. */
export const canUpdateInPlace = (present: TableDeclaration, desired: TableDeclaration): boolean =>
  present.sets.every((set) => desired.sets.some((other) => other.name === set.name && sameSet(set, other))) &&
  present.chains.every((chain) =>
    desired.chains.some((other) => other.name === chain.name && hookText(other) === hookText(chain)),
  );
