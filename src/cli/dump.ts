import { InputError } from '../base/errors.js';
import { printableLines } from '../base/text.js';
import { UsageError } from '../config/flags.js';
import { ipvsadmLines } from '../plan/table.js';
import { askDaemon, type AdminClient } from './admin-client.js';
import { customColumns, customColumnsLines, fieldName, readingFor, sortTables } from './dump-fields.js';
import { dumpJsonTexts, dumpYamlTexts } from './dump-json.js';
import type { KernelTable } from './kernel-table.js';
import { tablesInOrder } from '../plan/table-order.js';
import { bookOf, noNames, type NamesBook } from './names-book.js';
import { nothingHere, targetWords } from './nearest-target.js';
import { paletteFor, type ColorWish } from './paint.js';
import type { Reading } from './read-kernel.js';
import { tableLines } from './table-text.js';
import { matcherOf, parseAddress, parseTarget, type AddressTarget, type Target } from './target.js';
import { writeOut } from './write-out.js';

export interface DumpOptions {
  /** The packet rules instead of the IPVS table. */
  readonly rules: boolean;
  /** As the user wrote it; undefined: everything. */
  readonly target: string | undefined;
  readonly namespace: string | undefined;
  readonly output: string;
  /** A field's name; undefined: by address. */
  readonly sortBy: string | undefined;
  readonly statistics: boolean;
  readonly rates: boolean;
  /** A line of column titles. */
  readonly titles: boolean;
  readonly color: ColorWish;
  /** Where the daemon is asked; undefined: at the usual place. */
  readonly adminSocket: string | undefined;
}

/** What is asked for, with the names that the daemon told. */
export interface Asked {
  readonly target: Target | undefined;
  readonly names: NamesBook;
}

const targetOf = ({ target, namespace }: DumpOptions): Target | undefined => {
  if (target !== undefined) return parseTarget(target, namespace);
  return namespace === undefined ? undefined : { by: 'namespace', namespace };
};

/** Whose things are costs the daemon least where the question is narrow. */
export const askNames = (client: AdminClient, target: Target | undefined) => {
  if (target?.by === 'address') return client.virtualServers({ address: target.address });
  if (target?.by !== 'service') return client.virtualServers();
  return client.virtualServers({ service: `${target.namespace}/${target.name}` });
};

/** Names where a daemon tells them; without, a target must be an address, and people are told why. */
export const askFor = async (options: DumpOptions): Promise<Asked> => {
  const target = targetOf(options);
  const told = await askDaemon(options.adminSocket, (client) => askNames(client, target));
  if (told.why === undefined) return { target, names: bookOf(told.answer) };
  const { why } = told;
  if (target !== undefined && target.by !== 'address')
    throw new InputError(`${why}; without it only addresses can be asked for, as 10.96.0.1:443`);
  const { faint } = paletteFor(process.stderr, process.env, options.color);
  process.stderr.write(`${faint(`Without names: ${why}.`)}\n`);
  return { target, names: noNames };
};

/** The table in the format that is asked for, bit by bit. */
export const formatTable = async (
  table: KernelTable,
  { names }: Asked,
  options: DumpOptions,
): Promise<Iterable<string>> => {
  const columns = customColumns(options.output);
  if (columns !== undefined) return customColumnsLines(table.tables, names, columns, options.titles);
  switch (options.output) {
    case 'json':
      return dumpJsonTexts(table, { ...options, names });
    case 'yaml': {
      const { formatYaml } = await import('../base/yaml.js');
      return dumpYamlTexts(table, { ...options, names, formatYaml });
    }
    case 'ipvsadm':
      return ipvsadmLines(table.tables);
    case 'name':
      return table.tables.map(({ server }) => `${server.key}\n`);
    default:
      return tableLines(table.tables, {
        ...options,
        names,
        wide: options.output === 'wide',
        palette: paletteFor(process.stdout, process.env, options.color),
      });
  }
};

/** The addresses that a target means; undefined: everything. */
const addressesOf = ({ target, names }: Asked): readonly AddressTarget[] | undefined => {
  if (target === undefined) return undefined;
  if (target.by === 'address') return [target];
  const matches = matcherOf(target, names);
  return [...names.keys()]
    .filter((key) => matches(undefined, key))
    .flatMap((key) => parseAddress(key.split(' ')[1] ?? '') ?? []);
};

/** Tells why there is nothing at the target. */
export const nothing = async (asked: Asked, options: DumpOptions): Promise<number> => {
  process.stderr.write(printableLines(await nothingThere(asked, options)));
  return 1;
};

const dumpRules = async (options: DumpOptions): Promise<number> => {
  const { output } = options;
  if (output !== 'table' && output !== 'json' && output !== 'yaml')
    throw new UsageError('--rules goes with -o table, json or yaml');
  const { packetRulesText } = await import('./packet-rules.js');
  const target = targetOf(options);
  const asked =
    target === undefined || target.by === 'address' ? { target, names: noNames } : await askFor(options);
  const addresses = addressesOf(asked);
  if (addresses?.length === 0) return nothing(asked, options);
  const text = await packetRulesText(output, addresses);
  if (text === undefined) process.stderr.write('There are no packet rules of kube-ipvs here.\n');
  else process.stdout.write(text);
  return 0;
};

/** Of the kernel only what will be shown is read: most of a big table takes long. */
const readingOf = ({ output, sortBy, statistics, rates }: DumpOptions): Reading => {
  const sorted = sortBy === undefined ? [] : [fieldName(sortBy)];
  const columns = output === 'name' ? [] : customColumns(output)?.map(({ field }) => field);
  if (columns !== undefined) return readingFor([...columns, ...sorted]);
  return { realServers: true, statistics: statistics || rates || readingFor(sorted).statistics };
};

/** What the kernel has of what is asked for, in the order that is asked for. */
export const readAsked = async ({ target, names }: Asked, options: DumpOptions): Promise<KernelTable> => {
  const field = options.sortBy === undefined ? undefined : fieldName(options.sortBy);
  const reading = readingOf(options);
  const { readKernel } = await import('./read-kernel.js');
  const table = await readKernel(matcherOf(target, names), reading);
  const ordered = tablesInOrder(table.tables);
  return { ...table, tables: field === undefined ? ordered : sortTables(ordered, field, names) };
};

/** Why there is nothing: asks for all that there is, which takes long only where nothing was found. */
const nothingThere = async ({ target, names }: Asked, options: DumpOptions): Promise<string> => {
  if (target === undefined) return 'The IPVS table is empty: there is no virtual server.\n';
  const matches = matcherOf(target, names);
  if (target.by !== 'address' && [...names.keys()].some((key) => matches(undefined, key)))
    return `The daemon knows the ${targetWords(target)}, but the kernel has no virtual server of it; \`kube-ipvs doctor\` looks for the reason.\n`;
  const { readVirtualServers } = await import('./read-kernel.js');
  const told = await askDaemon(options.adminSocket, (client) => client.virtualServers());
  const virtualServers = (await readVirtualServers()).map(({ key }) => key);
  const present = { names: told.why === undefined ? bookOf(told.answer) : noNames, virtualServers };
  return `${nothingHere(target, present)}\n`;
};

/** Prints the kernel's table, or the part that the target names; 1 where the target has no virtual server. Rejects with an InputError for a target that is none, and where the kernel can't be read. */
export const dump = async (options: DumpOptions): Promise<number> => {
  if (options.rules) return dumpRules(options);
  const asked = await askFor(options);
  const table = await readAsked(asked, options);
  const empty = table.tables.length === 0;
  const forPrograms = options.output === 'json' || options.output === 'yaml' || options.output === 'ipvsadm';
  if (empty) process.stderr.write(printableLines(await nothingThere(asked, options)));
  if (!empty || forPrograms) await writeOut(await formatTable(table, asked, options));
  return empty && asked.target !== undefined ? 1 : 0;
};
