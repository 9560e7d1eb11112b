import { tableText } from '../../nftables/table-text.js';
import type { SetDeclaration, TableDeclaration } from '../../nftables/declarations.js';

const byName = (a: { readonly name: string }, b: { readonly name: string }): number =>
  a.name < b.name ? -1 : Number(a.name > b.name);

/** Equal for equal tables, whatever the order in which their parts were made. */
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

/** A declaration stays the same object while nothing changes, and every sync asks for its text. */
const texts = new WeakMap<TableDeclaration, string>();

export const cachedTableText = (declaration: TableDeclaration): string => {
  const text = texts.get(declaration) ?? formatTable(declaration);
  texts.set(declaration, text);
  return text;
};

export const sameSet = (a: SetDeclaration, b: SetDeclaration): boolean =>
  a.verdicts === b.verdicts && a.key.join() === b.key.join();

const hookText = ({ hook }: TableDeclaration['chains'][number]): string => JSON.stringify(hook ?? null);

/** Whether the table can become the declared one by exchanging its rules and adding what is missing. */
export const canUpdateInPlace = (present: TableDeclaration, desired: TableDeclaration): boolean =>
  present.sets.every((set) => desired.sets.some((other) => other.name === set.name && sameSet(set, other))) &&
  present.chains.every((chain) =>
    desired.chains.some((other) => other.name === chain.name && hookText(other) === hookText(chain)),
  );
