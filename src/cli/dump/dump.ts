import { InputError } from '../../base/errors.js';
import { printableLines } from '../../base/text.js';
import { UsageError } from '../../config/parse-flags.js';
import { ipvsadmLines } from '../../plan/output/ipvs-table-formats.js';
import { queryDaemon, type AdminClient } from '../admin/admin-client.js';
import { customColumns, customColumnsLines, fieldName, readScopeFor, sortTables } from './dump-fields.js';
import { dumpJsonTexts, dumpYamlTexts } from './dump-json.js';
import type { KernelSnapshot } from '../kernel/kernel-snapshot.js';
import { virtualServersInOrder } from '../../plan/output/sort-order.js';
import { buildServiceIndex, emptyServiceIndex, type ServiceIndex } from '../admin/service-index.js';
import { notFoundMessage, describeTarget } from '../target/nearest-target.js';
import { paletteFor, type ColorMode } from '../output/palette.js';
import type { ReadScope } from '../kernel/read-kernel.js';
import { tableLines } from './table-text.js';
import {
  targetMatcher,
  parseAddressTarget,
  parseTarget,
  type AddressTarget,
  type Target,
} from '../target/target.js';
import { writeTexts } from '../output/standard-output.js';

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
  readonly color: ColorMode;
  /** Where the daemon is asked; undefined: at the usual place. */
  readonly adminSocket: string | undefined;
}

/** What is asked for, with the names that the daemon told. */
export interface DumpQuery {
  readonly target: Target | undefined;
  readonly names: ServiceIndex;
}

const targetOf = ({ target, namespace }: DumpOptions): Target | undefined => {
  if (target !== undefined) return parseTarget(target, namespace);
  return namespace === undefined ? undefined : { by: 'namespace', namespace };
};

/** Whose things are costs the daemon least where the question is narrow. */
export const fetchServiceNames = (client: AdminClient, target: Target | undefined) => {
  if (target?.by === 'address') return client.virtualServers({ address: target.address });
  if (target?.by !== 'service') return client.virtualServers();
  return client.virtualServers({ service: `${target.namespace}/${target.name}` });
};

/** Names where a daemon tells them; without, a target must be an address, and people are told why. */
export const resolveQuery = async (options: DumpOptions): Promise<DumpQuery> => {
  const target = targetOf(options);
  const result = await queryDaemon(options.adminSocket, (client) => fetchServiceNames(client, target));
  if (result.reason === undefined) return { target, names: buildServiceIndex(result.response) };
  const { reason } = result;
  if (target !== undefined && target.by !== 'address')
    throw new InputError(`${reason}; without it only addresses can be asked for, as 10.96.0.1:443`);
  const { faint } = paletteFor(process.stderr, process.env, options.color);
  process.stderr.write(`${faint(`Without names: ${reason}.`)}\n`);
  return { target, names: emptyServiceIndex };
};

/** The table in the format that is asked for, bit by bit. */
export const formatSnapshot = async (
  snapshot: KernelSnapshot,
  { names }: DumpQuery,
  options: DumpOptions,
): Promise<Iterable<string>> => {
  const columns = customColumns(options.output);
  if (columns !== undefined)
    return customColumnsLines(snapshot.virtualServers, names, columns, options.titles);
  switch (options.output) {
    case 'json':
      return dumpJsonTexts(snapshot, { ...options, names });
    case 'yaml': {
      const { formatYaml } = await import('../../base/yaml.js');
      return dumpYamlTexts(snapshot, { ...options, names, formatYaml });
    }
    case 'ipvsadm':
      return ipvsadmLines(snapshot.virtualServers);
    case 'name':
      return snapshot.virtualServers.map(({ server }) => `${server.key}\n`);
    default:
      return tableLines(snapshot.virtualServers, {
        ...options,
        names,
        wide: options.output === 'wide',
        palette: paletteFor(process.stdout, process.env, options.color),
      });
  }
};

/** The addresses that a target means; undefined: everything. */
const addressesOf = ({ target, names }: DumpQuery): readonly AddressTarget[] | undefined => {
  if (target === undefined) return undefined;
  if (target.by === 'address') return [target];
  const matches = targetMatcher(target, names);
  return [...names.keys()]
    .filter((key) => matches(undefined, key))
    .flatMap((key) => parseAddressTarget(key.split(' ')[1] ?? '') ?? []);
};

/** Tells why there is nothing at the target. */
export const reportNothingFound = async (asked: DumpQuery, options: DumpOptions): Promise<number> => {
  process.stderr.write(printableLines(await nothingFoundMessage(asked, options)));
  return 1;
};

const dumpRules = async (options: DumpOptions): Promise<number> => {
  const { output } = options;
  if (output !== 'table' && output !== 'json' && output !== 'yaml')
    throw new UsageError('--rules goes with -o table, json or yaml');
  const { packetRulesText } = await import('./packet-rules-text.js');
  const target = targetOf(options);
  const query =
    target === undefined || target.by === 'address'
      ? { target, names: emptyServiceIndex }
      : await resolveQuery(options);
  const addresses = addressesOf(query);
  if (addresses?.length === 0) return reportNothingFound(query, options);
  const text = await packetRulesText(output, addresses);
  if (text === undefined) process.stderr.write('There are no packet rules of kube-ipvs here.\n');
  else process.stdout.write(text);
  return 0;
};

/** Of the kernel only what will be shown is read: most of a big table takes long. */
const readScopeOf = ({ output, sortBy, statistics, rates }: DumpOptions): ReadScope => {
  const sorted = sortBy === undefined ? [] : [fieldName(sortBy)];
  const columns = output === 'name' ? [] : customColumns(output)?.map(({ field }) => field);
  if (columns !== undefined) return readScopeFor([...columns, ...sorted]);
  return { realServers: true, statistics: statistics || rates || readScopeFor(sorted).statistics };
};

/** What the kernel has of what is asked for, in the order that is asked for. */
export const readMatching = async (
  { target, names }: DumpQuery,
  options: DumpOptions,
): Promise<KernelSnapshot> => {
  const field = options.sortBy === undefined ? undefined : fieldName(options.sortBy);
  const reading = readScopeOf(options);
  const { readKernelSnapshot } = await import('../kernel/read-kernel.js');
  const snapshot = await readKernelSnapshot(targetMatcher(target, names), reading);
  const ordered = virtualServersInOrder(snapshot.virtualServers);
  return { ...snapshot, virtualServers: field === undefined ? ordered : sortTables(ordered, field, names) };
};

/** Why there is nothing: asks for all that there is, which takes long only where nothing was found. */
const nothingFoundMessage = async ({ target, names }: DumpQuery, options: DumpOptions): Promise<string> => {
  if (target === undefined) return 'The IPVS table is empty: there is no virtual server.\n';
  const matches = targetMatcher(target, names);
  if (target.by !== 'address' && [...names.keys()].some((key) => matches(undefined, key)))
    return `The daemon knows the ${describeTarget(target)}, but the kernel has no virtual server of it; \`kube-ipvs doctor\` looks for the reason.\n`;
  const { readVirtualServers } = await import('../kernel/read-kernel.js');
  const result = await queryDaemon(options.adminSocket, (client) => client.virtualServers());
  const virtualServers = (await readVirtualServers()).map(({ key }) => key);
  const present = {
    names: result.reason === undefined ? buildServiceIndex(result.response) : emptyServiceIndex,
    virtualServers,
  };
  return `${notFoundMessage(target, present)}\n`;
};

/** Prints the kernel's table, or the part that the target names; 1 where the target has no virtual server. Rejects with an InputError for a target that is none, and where the kernel can't be read. */
export const dump = async (options: DumpOptions): Promise<number> => {
  if (options.rules) return dumpRules(options);
  const query = await resolveQuery(options);
  const snapshot = await readMatching(query, options);
  const empty = snapshot.virtualServers.length === 0;
  const forPrograms = options.output === 'json' || options.output === 'yaml' || options.output === 'ipvsadm';
  if (empty) process.stderr.write(printableLines(await nothingFoundMessage(query, options)));
  if (!empty || forPrograms) await writeTexts(await formatSnapshot(snapshot, query, options));
  return empty && query.target !== undefined ? 1 : 0;
};
