import { InputError } from '../../base/errors.js';
import { UsageError } from '../../config/parse-flags.js';
import { parseVirtualServerKey } from '../../admin-api/desired-response.js';
import { ipvsadmLines } from '../../plan/output/ipvs-table-formats.js';
import { queryDaemon, type AdminClient } from '../admin/admin-client.js';
import { namesOf, type InstanceOptions } from '../admin/instance.js';
import { customColumns, customColumnsLines, fieldName, readScopeFor, sortTables } from './dump-fields.js';
import { dumpJsonTexts, dumpYamlTexts } from './dump-json.js';
import type { KernelSnapshot } from '../kernel/kernel-snapshot.js';
import { virtualServersInOrder } from '../../plan/output/sort-order.js';
import { buildServiceIndex, emptyServiceIndex, type ServiceIndex } from '../admin/service-index.js';
import { notFoundMessage, describeTarget } from '../target/nearest-target.js';
import { paletteFor, type ColorMode } from '../output/palette.js';
import type { ReadScope } from '../kernel/read-kernel.js';
import { tableLines } from './table-text.js';
import { targetMatcher, parseTarget, type AddressTarget, type Target } from '../target/target.js';
import { printDiagnostic, writeTexts } from '../output/standard-output.js';

export interface DumpOptions extends InstanceOptions {
  /** Print the packet rules instead of the IPVS table. */
  readonly rules: boolean;
  /** As the user wrote it; undefined: everything. */
  readonly target: string | undefined;
  readonly namespace: string | undefined;
  readonly output: string;
  /** The name of a field; undefined: sort by address. */
  readonly sortBy: string | undefined;
  readonly statistics: boolean;
  readonly rates: boolean;
  /** Print column titles. */
  readonly titles: boolean;
  readonly color: ColorMode;
}

/** The target, and the names that the daemon reported. */
export interface DumpQuery {
  readonly target: Target | undefined;
  readonly names: ServiceIndex;
}

const targetOf = ({ target, namespace }: DumpOptions): Target | undefined => {
  if (target !== undefined) return parseTarget(target, namespace);
  return namespace === undefined ? undefined : { by: 'namespace', namespace };
};

/** Asks the daemon for no more names than the target needs. */
export const fetchServiceNames = (client: AdminClient, target: Target | undefined) => {
  if (target?.by === 'address') return client.virtualServers({ address: target.address });
  if (target?.by !== 'service') return client.virtualServers();
  return client.virtualServers({ service: `${target.namespace}/${target.name}` });
};

/** Reads the names from the daemon. Without a daemon, the target must be an address, and standard error says why names are missing. */
export const resolveQuery = async (options: DumpOptions): Promise<DumpQuery> => {
  const target = targetOf(options);
  const result = await queryDaemon(options, (client) => fetchServiceNames(client, target));
  if (result.reason === undefined) return { target, names: buildServiceIndex(result.response) };
  const { reason } = result;
  if (target !== undefined && target.by !== 'address')
    throw new InputError(
      `${reason} Without the daemon, the target must be an address, for example 10.96.0.1:443.`,
    );
  const { faint } = paletteFor(process.stderr, process.env, options.color);
  process.stderr.write(`${faint(`No names: ${reason}`)}\n`);
  return { target, names: emptyServiceIndex };
};

/** The table in the selected format, in pieces. */
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

/** The addresses of a target; undefined: everything. */
const addressesOf = ({ target, names }: DumpQuery): readonly AddressTarget[] | undefined => {
  if (target === undefined) return undefined;
  if (target.by === 'address') return [target];
  const matches = targetMatcher(target, names);
  return [...names.keys()]
    .filter((key) => matches(undefined, key))
    .flatMap((key) => {
      const identity = parseVirtualServerKey(key);
      return identity?.by === 'address' ? [identity] : [];
    });
};

/** Prints why the target has no virtual server. */
export const reportNothingFound = async (query: DumpQuery, options: DumpOptions): Promise<number> => {
  printDiagnostic(await nothingFoundMessage(query, options));
  return 1;
};

const dumpRules = async (options: DumpOptions): Promise<number> => {
  const { output } = options;
  if (output !== 'table' && output !== 'json' && output !== 'yaml')
    throw new UsageError('--rules supports only -o table, json and yaml');
  const { packetRulesText } = await import('./packet-rules-text.js');
  const target = targetOf(options);
  const query =
    target === undefined || target.by === 'address'
      ? { target, names: emptyServiceIndex }
      : await resolveQuery(options);
  const addresses = addressesOf(query);
  if (addresses?.length === 0) return reportNothingFound(query, options);
  const text = await packetRulesText(output, namesOf(options), addresses);
  if (text === undefined) printDiagnostic('no packet rules of kube-ipvs on this node');
  else process.stdout.write(text);
  return 0;
};

/** Reads only what is printed: reading all of a large table takes long. */
const readScopeOf = ({ output, sortBy, statistics, rates }: DumpOptions): ReadScope => {
  const sorted = sortBy === undefined ? [] : [fieldName(sortBy)];
  const columns = output === 'name' ? [] : customColumns(output)?.map(({ field }) => field);
  if (columns !== undefined) return readScopeFor([...columns, ...sorted]);
  return { realServers: true, statistics: statistics || rates || readScopeFor(sorted).statistics };
};

/** Reads the virtual servers of the target, in the selected order. */
export const readMatching = async (
  { target, names }: DumpQuery,
  options: DumpOptions,
): Promise<KernelSnapshot> => {
  const field = options.sortBy === undefined ? undefined : fieldName(options.sortBy);
  const reading = readScopeOf(options);
  const { readKernelSnapshot } = await import('../kernel/read-kernel.js');
  const snapshot = await readKernelSnapshot(namesOf(options), targetMatcher(target, names), reading);
  const ordered = virtualServersInOrder(snapshot.virtualServers);
  return { ...snapshot, virtualServers: field === undefined ? ordered : sortTables(ordered, field, names) };
};

/** Why nothing was found. It reads all virtual servers to suggest a target. */
const nothingFoundMessage = async ({ target, names }: DumpQuery, options: DumpOptions): Promise<string> => {
  if (target === undefined) return 'the IPVS table is empty';
  const matches = targetMatcher(target, names);
  if (target.by !== 'address' && [...names.keys()].some((key) => matches(undefined, key)))
    return `the daemon serves ${describeTarget(target)}, but the kernel has no virtual server of it. Run \`kube-ipvs doctor\` to find the cause.`;
  const { readVirtualServers } = await import('../kernel/read-kernel.js');
  const result = await queryDaemon(options, (client) => client.virtualServers());
  const virtualServers = (await readVirtualServers()).map(({ key }) => key);
  const present = {
    names: result.reason === undefined ? buildServiceIndex(result.response) : emptyServiceIndex,
    virtualServers,
  };
  return notFoundMessage(target, present);
};

/** Prints the IPVS table, or the target's part of it; 1 where the target has no virtual server. Rejects with an InputError for a target that is not valid. */
export const dump = async (options: DumpOptions): Promise<number> => {
  if (options.rules) return dumpRules(options);
  const query = await resolveQuery(options);
  const snapshot = await readMatching(query, options);
  const empty = snapshot.virtualServers.length === 0;
  const forPrograms = options.output === 'json' || options.output === 'yaml' || options.output === 'ipvsadm';
  if (empty) printDiagnostic(await nothingFoundMessage(query, options));
  if (!empty || forPrograms) await writeTexts(await formatSnapshot(snapshot, query, options));
  return empty && query.target !== undefined ? 1 : 0;
};
