import { families, type Family, type IpAddress } from '../../base/ip.js';
import { sourcesFor } from '../../doctor/collect.js';
import { examineOnDemand } from '../../doctor/on-demand.js';
import { valueOf } from '../../doctor/finding.js';
import { messageOf } from '../../base/errors.js';
import { checks, type Outcome } from '../../doctor/checks.js';
import { parseFlags } from '../../config/flags.js';
import { loadSettings } from '../../config/load-settings.js';
import { NftablesClient } from '../../kernel/nftables/client.js';
import { RouteClient } from '../../kernel/rtnetlink/client.js';
import { dummyInterfaceName } from '../../model/node.js';
import { setElement, tableName, type ElementKey } from '../../model/nftables.js';
import type { RuleSource } from '../../model/packet-walk.js';
import { drainingSet } from '../../plan/packet-table.js';
import type { VirtualServerIdentity } from '../../model/virtual-server.js';
import { readKernel, withRemedy } from '../read-kernel.js';
import { unlessLacking } from '../removal.js';
import type { KernelLook, StoryFacts } from './facts.js';
import { nodeChecks } from './node-judgements.js';

const readAddresses = async (): Promise<
  readonly { readonly address: IpAddress; readonly isVip: boolean }[]
> => {
  const client = RouteClient.open();
  try {
    return (await client.addresses()).map(({ address, interfaceName }) => ({
      address,
      isVip: interfaceName === dummyInterfaceName,
    }));
  } finally {
    client.close();
  }
};

const rulesOf = async (
  client: NftablesClient,
  family: Family,
  isLocal: RuleSource['isLocal'],
): Promise<RuleSource | undefined> => {
  const table = await client.table(family, tableName);
  if (table === undefined) return undefined;
  const elements = new Set<ElementKey>();
  // What drains is of no rule.
  for (const set of table.sets)
    if (set.name !== drainingSet)
      for (const { key } of await client.elements(family, tableName, set)) elements.add(key);
  return { table, isLocal, has: (set, fields) => elements.has(setElement(family, set, fields).key) };
};

const readRules = async (isLocal: RuleSource['isLocal']): Promise<KernelLook['rules']> => {
  const client = await unlessLacking(() => NftablesClient.open());
  if (client === undefined) return {};
  try {
    const rules: Partial<Record<Family, RuleSource>> = {};
    for (const family of families) {
      const own = await unlessLacking(() => rulesOf(client, family, isLocal));
      if (own !== undefined) rules[family] = own;
    }
    return rules;
  } finally {
    client.close();
  }
};

/** What the kernel has now: virtual servers that match, addresses, packet rules. */
export const lookAtKernel = async (
  matches: (identity: VirtualServerIdentity, key: string) => boolean,
): Promise<StoryFacts['kernel']> => {
  try {
    const { tables } = await readKernel(matches);
    const addresses = await readAddresses();
    const all = new Set(addresses.map(({ address }) => address));
    return {
      value: {
        tables: new Map(tables.map((table) => [table.server.key, table])),
        dummyAddresses: new Set(addresses.filter(({ isVip }) => isVip).map(({ address }) => address)),
        addresses: all,
        rules: await readRules((address) => all.has(address)),
      },
    };
  } catch (error) {
    return {
      unseen: messageOf(withRemedy(error)),
      remedy: 'kube-ipvs doctor --only kernel,ipvs,process',
    };
  }
};

/** Those checks of the doctor that bear on packets to these virtual servers; they look at no more than they need. */
export const lookAtNode = (
  kernel: StoryFacts['kernel'],
  status: StoryFacts['status'],
): Promise<readonly Outcome[]> => {
  const settings = loadSettings(parseFlags([]));
  const servers = [...(valueOf(kernel)?.tables.values() ?? [])].map(
    ({ server: { identity, scheduler } }) => ({ identity, scheduler, ours: true }),
  );
  const sources = sourcesFor({
    configuration: { files: [], settings, problem: undefined },
    kubeconfig: undefined,
    manifests: () => [],
    // It has been asked already: see below.
    status: async () => ({ answer: undefined, why: '' }),
  });
  return examineOnDemand(
    { ...sources, virtualServers: () => ({ value: servers }), status: () => status },
    checks.filter(({ id }) => nodeChecks.includes(id)),
  );
};
