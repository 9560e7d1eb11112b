import { familyOf, hostPrefixLength, type Family } from '../base/ip.js';
import { operationKey, type Operation } from './operation.js';
import type { RealServer, VirtualServer, VirtualServerKey, VirtualServerEntry } from './virtual-server.js';

/** What is to be so of a thing, or is; what is not set is absent. */
export type PlanFields = Readonly<Record<string, string | number>>;

/** One step from the kernel as it is to the kernel as it is wanted, as programs read it (`diff -o json`). */
export interface PlanEntry {
  readonly op: 'add' | 'change' | 'remove';
  readonly kind: 'virtual-server' | 'real-server' | 'address' | 'element' | 'table' | 'link' | 'sysctl';
  /** Of a real server, the virtual server that it is of. */
  readonly virtualServer?: string;
  /** As `TCP 10.96.0.1:443`, `10.244.1.5:8080`, `10.96.0.1/32`, `IPv4 external 192.0.2.10 . TCP . 30080`. */
  readonly key: string;
  /** Of what is added all fields; of what is changed those that differ, or all where it is not known which. */
  readonly wanted?: PlanFields;
  /** Of what is changed, the same fields as they are; absent where that is not known. */
  readonly found?: PlanFields;
}

/** What the kernel has now. */
export interface ObservedVirtualServers {
  virtualServer(key: VirtualServerKey): VirtualServerEntry | undefined;
}

const nothingObserved: ObservedVirtualServers = { virtualServer: () => undefined };

const familyOfServer = ({ identity }: VirtualServer): Family =>
  identity.by === 'address' ? familyOf(identity.address) : identity.family;

const persistenceFields = (server: VirtualServer): PlanFields => {
  if (server.persistence === undefined) return {};
  const { seconds, prefixLength } = server.persistence;
  const isWhole = prefixLength === hostPrefixLength(familyOfServer(server));
  return { persistent: seconds, ...(isWhole ? {} : { persistentPrefixLength: prefixLength }) };
};

const virtualServerFields = (server: VirtualServer): PlanFields => ({
  scheduler: server.scheduler,
  ...persistenceFields(server),
  ...(server.flags.length === 0 ? {} : { flags: server.flags.join(' ') }),
});

const realServerFields = ({
  forwarding,
  weight,
  upperThreshold,
  lowerThreshold,
}: RealServer): PlanFields => ({
  forwarding,
  weight,
  ...(upperThreshold === 0 ? {} : { upperThreshold }),
  ...(lowerThreshold === 0 ? {} : { lowerThreshold }),
});

const differingFields = (fields: PlanFields, others: PlanFields): PlanFields =>
  Object.fromEntries(Object.entries(fields).filter(([name, value]) => others[name] !== value));

const changedFields = (
  wanted: PlanFields,
  found: PlanFields | undefined,
): Pick<PlanEntry, 'wanted' | 'found'> =>
  found === undefined
    ? { wanted }
    : { wanted: differingFields(wanted, found), found: differingFields(found, wanted) };

type UpdateOperation = Extract<Operation, { kind: 'update-virtual-server' | 'update-real-server' }>;

const foundFields = (operation: UpdateOperation, found: ObservedVirtualServers): PlanFields | undefined => {
  const entry = found.virtualServer(operationKey(operation));
  if (entry === undefined) return undefined;
  if (operation.kind === 'update-virtual-server') return virtualServerFields(entry.server);
  const server = entry.realServers.get(operation.server.key);
  return server && realServerFields(server);
};

/** The operation as a step of a plan; `found` tells what it changes. */
export const planEntry = (
  operation: Operation,
  found: ObservedVirtualServers = nothingObserved,
): PlanEntry => {
  switch (operation.kind) {
    case 'add-virtual-server':
      return {
        op: 'add',
        kind: 'virtual-server',
        key: operation.server.key,
        wanted: virtualServerFields(operation.server),
      };
    case 'update-virtual-server':
      return {
        op: 'change',
        kind: 'virtual-server',
        key: operation.server.key,
        ...changedFields(virtualServerFields(operation.server), foundFields(operation, found)),
      };
    case 'delete-virtual-server':
      return { op: 'remove', kind: 'virtual-server', key: operationKey(operation) };
    case 'add-real-server':
      return { ...realServerEntry('add', operation), wanted: realServerFields(operation.server) };
    case 'update-real-server':
      return {
        ...realServerEntry('change', operation),
        ...changedFields(realServerFields(operation.server), foundFields(operation, found)),
      };
    case 'delete-real-server':
      return realServerEntry('remove', operation);
    case 'add-element':
      return { op: 'add', kind: 'element', key: operation.element.key };
    case 'delete-element':
      return { op: 'remove', kind: 'element', key: operation.element.key };
    case 'bind-address':
      return { op: 'add', kind: 'address', key: hostAddress(operation) };
    case 'unbind-address':
      return { op: 'remove', kind: 'address', key: hostAddress(operation) };
  }
};

const hostAddress = ({ address }: Extract<Operation, { address: unknown }>): string =>
  `${address}/${hostPrefixLength(familyOf(address))}`;

const realServerEntry = (
  op: PlanEntry['op'],
  operation: Extract<Operation, { of: unknown }>,
): Pick<PlanEntry, 'op' | 'kind' | 'virtualServer' | 'key'> => ({
  op,
  kind: 'real-server',
  virtualServer: operationKey(operation),
  key: operation.server.key,
});

const signs = { add: '+', change: '~', remove: '-' } as const;

const kindWords: Readonly<Record<PlanEntry['kind'], string>> = {
  'virtual-server': 'virtual server',
  'real-server': 'real server',
  address: 'address',
  element: 'element',
  table: 'table',
  link: 'link',
  sysctl: 'sysctl',
};

/** Fields whose values say for themselves what they are. */
const selfExplanatoryFields: readonly string[] = ['scheduler', 'flags', 'forwarding', 'kind'];

const spacedWords = (name: string): string => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

const fieldsText = (fields: PlanFields): string =>
  Object.entries(fields)
    .map(([name, value]) =>
      selfExplanatoryFields.includes(name) ? ` ${value}` : ` ${spacedWords(name)} ${value}`,
    )
    .join('');

const changesText = (wanted: PlanFields, found: PlanFields): string =>
  [...new Set([...Object.keys(found), ...Object.keys(wanted)])]
    .map((name) => `${spacedWords(name)} ${found[name] ?? 'none'} → ${wanted[name] ?? 'none'}`)
    .join(', ');

/** One stable line, as `~ virtual server TCP 10.96.0.1:443: scheduler rr → lc`: the language of every plan. */
export const formatEntry = ({ op, kind, virtualServer, key, wanted, found }: PlanEntry): string => {
  const name = `${signs[op]} ${kindWords[kind]} ${virtualServer === undefined ? '' : `${virtualServer} → `}${key}`;
  if (wanted === undefined) return name;
  return found === undefined ? `${name}${fieldsText(wanted)}` : `${name}: ${changesText(wanted, found)}`;
};

/** The operation in the same language: logs and test expectations use it. */
export const formatOperation = (operation: Operation): string => formatEntry(planEntry(operation));
