import { families } from '../../base/ip.js';
import { NftablesClient } from '../../kernel/nftables/client.js';
import { ruleText, tableText } from '../../nftables/table-text.js';
import type { SetDeclaration, SetElement, TableDeclaration } from '../../nftables/declarations.js';
import type { InstanceNames } from '../../model/instance-names.js';
import { withRemedy } from '../kernel/read-kernel.js';
import type { AddressTarget } from '../target/target.js';

/** A table of kube-ipvs with its elements. */
interface PacketTable {
  readonly declaration: TableDeclaration;
  /** By the name of the set. */
  readonly elements: ReadonlyMap<string, readonly SetElement[]>;
}

/** Undefined: everything. */
type Targets = readonly AddressTarget[] | undefined;

const matches = (targets: Targets, { key }: SetDeclaration, { fields }: SetElement): boolean => {
  const port = key.indexOf('port');
  return (
    targets === undefined ||
    targets.some(
      (target) =>
        key[0] === 'address' &&
        fields[0] === target.address &&
        (target.port === undefined || port < 0 || fields[port] === target.port),
    )
  );
};

const fieldOrder = (field: SetElement['fields'][number]): string =>
  typeof field === 'number' ? String(field).padStart(5, '0') : field;
const orderOf = ({ fields }: SetElement): string => fields.map(fieldOrder).join(' ');

const readTable = async (
  client: NftablesClient,
  { family, name }: Pick<TableDeclaration, 'family' | 'name'>,
  targets: Targets,
): Promise<PacketTable | undefined> => {
  const declaration = await client.table(family, name);
  if (declaration === undefined) return undefined;
  const elements = new Map<string, readonly SetElement[]>();
  for (const set of declaration.sets) {
    const found = (await client.elements(family, name, set)).filter((element) =>
      matches(targets, set, element),
    );
    elements.set(
      set.name,
      found.toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1)),
    );
  }
  return { declaration, elements };
};

/** Reads the tables of kube-ipvs with the elements of the targets. Rejects with KernelAccessError without the permission to read. */
const readPacketRules = async (names: InstanceNames, targets: Targets): Promise<readonly PacketTable[]> => {
  try {
    const client = NftablesClient.open();
    try {
      const tables: PacketTable[] = [];
      for (const family of families) {
        const table = await readTable(client, { family, name: names.table }, targets);
        if (table !== undefined) tables.push(table);
      }
      return tables;
    } finally {
      client.close();
    }
  } catch (error) {
    throw withRemedy(error);
  }
};

const json = ({ declaration: { family, name, sets, chains }, elements }: PacketTable): object => ({
  family: family === 'IPv4' ? 'ip' : 'ip6',
  name,
  sets: sets.map((set) => ({
    name: set.name,
    key: set.key,
    comment: set.comment,
    elements: (elements.get(set.name) ?? []).map(({ fields, chain }) =>
      chain === undefined ? { key: fields } : { key: fields, goto: chain },
    ),
  })),
  chains: chains.map(({ name: chain, hook, rules }) => ({
    name: chain,
    ...(hook === undefined ? {} : { hook }),
    rules: rules.map((rule) => ({
      rule: ruleText(family, { ...rule, comment: undefined }),
      ...(rule.comment === undefined ? {} : { comment: rule.comment }),
    })),
  })),
});

/** The packet rules of kube-ipvs as nft lists them, or as JSON or YAML; undefined where there are none. */
export const packetRulesText = async (
  output: string,
  names: InstanceNames,
  targets: Targets,
): Promise<string | undefined> => {
  const tables = await readPacketRules(names, targets);
  if (output === 'json') return `${JSON.stringify({ tables: tables.map(json) }, undefined, 2)}\n`;
  if (output === 'yaml') {
    const { formatYaml } = await import('../../base/yaml.js');
    return formatYaml({ tables: tables.map(json) });
  }
  if (tables.length === 0) return undefined;
  return tables.map(({ declaration, elements }) => tableText(declaration, elements)).join('\n');
};
