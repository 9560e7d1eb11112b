import { tableText } from '../model/nftables-text.js';
import type { SetDeclaration, TableDeclaration } from '../model/nftables.js';

const byName = (a: { readonly name: string }, b: { readonly name: string }): number =>
  a.name < b.name ? -1 : Number(a.name > b.name);

/** Equal for equal tables, whatever the order in which their parts were made. */
const makeText = (declaration: TableDeclaration): string =>
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

export const textOf = (declaration: TableDeclaration): string => {
  const text = texts.get(declaration) ?? makeText(declaration);
  texts.set(declaration, text);
  return text;
};

export const sameSet = (a: SetDeclaration, b: SetDeclaration): boolean =>
  a.verdicts === b.verdicts && a.key.join() === b.key.join();

const hookText = ({ hook }: TableDeclaration['chains'][number]): string => JSON.stringify(hook ?? null);

/** Whether the table can become the declared one by exchanging its rules and adding what is missing. */
export const canBecome = (present: TableDeclaration, wanted: TableDeclaration): boolean =>
  present.sets.every((set) => wanted.sets.some((other) => other.name === set.name && sameSet(set, other))) &&
  present.chains.every((chain) =>
    wanted.chains.some((other) => other.name === chain.name && hookText(other) === hookText(chain)),
  );
