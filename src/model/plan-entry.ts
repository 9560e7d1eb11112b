import { familyOf, hostPrefixLength } from '../base/ip.js';
import { operationKey, type Operation } from './operation.js';
import {
  familyOfServer,
  type RealServer,
  type VirtualServer,
  type VirtualServerKey,
  type VirtualServerEntry,
} from './virtual-server.js';

/** Fields of an object, desired or observed; a field that is not set is absent. */
export type PlanFields = Readonly<Record<string, string | number>>;

/** One step from the observed to the desired state of the kernel, for programs (`diff -o json`). */
export interface PlanEntry {
  readonly op: 'add' | 'change' | 'remove';
  readonly kind:
    | 'virtual-server'
    | 'real-server'
    | 'address'
    | 'route'
    | 'element'
    | 'table'
    | 'link'
    | 'sysctl';
  /** The virtual server of a real server. */
  readonly virtualServer?: string;
  /** As `TCP 10.96.0.1:443`, `10.244.1.5:8080`, `10.96.0.1/32`, `IPv4 external 192.0.2.10 . TCP . 30080`. */
  readonly key: string;
  /** All fields of an added object; of a changed one those that differ, or all where the difference is unknown. */
  readonly wanted?: PlanFields;
  /** The observed values of the same fields of a changed object; absent where unknown. */
  readonly found?: PlanFields;
}

/** The observed state of the kernel. */
export interface ObservedVirtualServers {
  virtualServer(key: VirtualServerKey): VirtualServerEntry | undefined;
}

const nothingObserved: ObservedVirtualServers = { virtualServer: () => undefined };

const persistenceFields = (server: VirtualServer): PlanFields => {
  if (server.persistence === undefined) return {};
  const { seconds, prefixLength } = server.persistence;
  const isWhole = prefixLength === hostPrefixLength(familyOfServer(server.identity));
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

/** The operation as a step of a plan; `found` is the observed state that it changes. */
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
      return { op: 'add', kind: operation.binding, key: hostAddress(operation) };
    case 'unbind-address':
      return { op: 'remove', kind: operation.binding, key: hostAddress(operation) };
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
  route: 'local route',
  element: 'element',
  table: 'table',
  link: 'link',
  sysctl: 'sysctl',
};

/** Fields whose values need no name in text. */
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

/** The operation without its object: `+ virtual server`. */
export const entryName = ({ op, kind }: Pick<PlanEntry, 'op' | 'kind'>): string =>
  `${signs[op]} ${kindWords[kind]}`;

/** One line in a stable format, as `~ virtual server TCP 10.96.0.1:443: scheduler rr → lc`. */
export const formatEntry = ({ op, kind, virtualServer, key, wanted, found }: PlanEntry): string => {
  const name = `${entryName({ op, kind })} ${virtualServer === undefined ? '' : `${virtualServer} → `}${key}`;
  if (wanted === undefined) return name;
  return found === undefined ? `${name}${fieldsText(wanted)}` : `${name}: ${changesText(wanted, found)}`;
};

/** The operation in the same format, for logs and tests. */
export const formatOperation = (operation: Operation): string => formatEntry(planEntry(operation));
