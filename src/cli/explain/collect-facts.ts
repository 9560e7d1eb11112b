import { families, type Family, type IpAddress } from '../../base/ip.js';
import { factSourcesFor } from '../../doctor/fact-sources.js';
import { runChecks } from '../../doctor/run-checks.js';
import { valueOf } from '../../doctor/check-result.js';
import { messageOf } from '../../base/errors.js';
import { checks, type CheckReport } from '../../doctor/all-checks.js';
import { parseFlags } from '../../config/parse-flags.js';
import { loadSettings } from '../../config/load-settings.js';
import { advise } from '../../doctor/remedy.js';
import { NftablesClient } from '../../kernel/nftables/client.js';
import { RtnetlinkClient } from '../../kernel/rtnetlink/client.js';
import type { InstanceNames } from '../../model/instance-names.js';
import { setElement, type ElementKey } from '../../nftables/declarations.js';
import type { RuleEnvironment } from '../../nftables/rule-interpreter.js';
import { drainingByMarkSet, drainingSet } from '../../plan/packet-rules/packet-sets.js';
import { vipBindings, type VipBindings } from '../../model/settings/vip-binding.js';
import type { VirtualServerIdentity } from '../../model/virtual-server.js';
import { readKernelSnapshot, withRemedy } from '../kernel/read-kernel.js';
import { ifSupported } from '../cleanup/removal.js';
import type { KernelFacts, ReportFacts } from './facts.js';
import { doctorCheckIds } from './checks/node-checks.js';

const readAddresses = async (names: InstanceNames): Promise<Pick<KernelFacts, 'vips' | 'addresses'>> => {
  const client = RtnetlinkClient.open(names);
  try {
    const addresses = await client.addresses();
    const byAddress = new Set(
      addresses
        .filter(({ interfaceName }) => interfaceName === names.dummyInterface)
        .map(({ address }) => address),
    );
    const byRoute = new Set(await client.vipRoutes());
    const bindingsOf = (vip: IpAddress): VipBindings =>
      vipBindings({ address: byAddress.has(vip), route: byRoute.has(vip) });
    return {
      vips: new Map([...byAddress, ...byRoute].map((vip) => [vip, bindingsOf(vip)])),
      addresses: new Set([...addresses.map(({ address }) => address), ...byRoute]),
    };
  } finally {
    client.close();
  }
};

const readRuleSource = async (
  client: NftablesClient,
  { family, name }: { readonly family: Family; readonly name: string },
  isLocal: RuleEnvironment['isLocal'],
): Promise<RuleEnvironment | undefined> => {
  const table = await client.table(family, name);
  if (table === undefined) return undefined;
  const elements = new Map<ElementKey, number | undefined>();
  // No rule reads the sets of draining real servers.
  for (const set of table.sets)
    if (set.name !== drainingSet && set.name !== drainingByMarkSet)
      for (const { fields, mark } of await client.elements(family, name, set))
        elements.set(setElement(family, set.name, fields).key, mark);
  return {
    table,
    isLocal,
    hasElement: (set, fields) => elements.has(setElement(family, set, fields).key),
    markOf: (set, fields) => elements.get(setElement(family, set, fields).key),
  };
};

const readRules = async (
  { table: name }: InstanceNames,
  isLocal: RuleEnvironment['isLocal'],
): Promise<KernelFacts['rules']> => {
  const client = await ifSupported(() => NftablesClient.open());
  if (client === undefined) return {};
  try {
    const rules: Partial<Record<Family, RuleEnvironment>> = {};
    for (const family of families) {
      const own = await ifSupported(() => readRuleSource(client, { family, name }, isLocal));
      if (own !== undefined) rules[family] = own;
    }
    return rules;
  } finally {
    client.close();
  }
};

/** Reads the state of the kernel: virtual servers that match, addresses, packet rules. */
export const readKernelFacts = async (
  names: InstanceNames,
  matches: (identity: VirtualServerIdentity, key: string) => boolean,
): Promise<ReportFacts['kernel']> => {
  try {
    const { virtualServers } = await readKernelSnapshot(names, matches);
    const { vips, addresses } = await readAddresses(names);
    return {
      value: {
        virtualServers: new Map(virtualServers.map((entry) => [entry.server.key, entry])),
        dummyInterface: names.dummyInterface,
        vips,
        addresses,
        rules: await readRules(names, (address) => addresses.has(address)),
      },
    };
  } catch (error) {
    return {
      unavailable: messageOf(withRemedy(error)),
      remedies: [advise('Find the cause.', 'kube-ipvs doctor --only kernel,ipvs,process')],
    };
  }
};

/** Runs the doctor's checks that concern packets to these virtual servers; they collect only the facts they read. */
export const runNodeChecks = (
  { serviceProxyName }: InstanceNames,
  kernel: ReportFacts['kernel'],
  status: ReportFacts['status'],
): Promise<readonly CheckReport[]> => {
  const settings = loadSettings(parseFlags([`--service-proxy-name=${serviceProxyName}`]));
  const servers = [...(valueOf(kernel)?.virtualServers.values() ?? [])].map(
    ({ server: { identity, scheduler } }) => ({ identity, scheduler, ours: true }),
  );
  const sources = factSourcesFor({
    configuration: { files: [], settings, problems: [] },
    kubeconfig: undefined,
    manifests: () => [],
    // Queried before: it replaces this source below.
    status: async () => ({ response: undefined, reason: '' }),
  });
  return runChecks(
    { ...sources, virtualServers: () => ({ value: servers }), status: () => status },
    checks.filter(({ id }) => doctorCheckIds.includes(id)),
  );
};
