import { readFileSync } from 'node:fs';
import { parseYaml } from '../../base/yaml.js';
import { parseFlags } from '../../config/parse-flags.js';
import { resolveSettings, type Settings } from '../../config/settings.js';
import { foreignChains } from '../../kernel/nftables/foreign/foreign-chains.js';
import { kubeProxyChain } from '../../model/kube-proxy-names.js';
import { NetlinkError } from '../../netlink/errors.js';
import { collectFact } from '../collect/collect-fact.js';
import { fetchPage, localUrl } from '../collect/daemon.js';
import { ipsetNames, legacyChains, nftablesChains } from '../collect/kernel.js';
import { programs } from '../collect/proc.js';
import { runOnNode } from '../remedy.js';
import { modeOfRules, type DependentRule, type KubeProxyFact, type ProxyMode } from './migration-facts.js';

/** kube-ipvs accepts the mode ipvs only; every other field of kube-proxy's file means the same in both. */
const withModeIpvs = (text: string): string =>
  parseYaml(text)
    .map(({ value }) => JSON.stringify({ ...(value as object | null), mode: 'ipvs' }))
    .join('\n---\n');

/** The settings of kube-proxy from its command line, with the files that its container has. */
export const kubeProxySettings = (
  words: readonly string[],
  nodeName: string,
  readFile: (name: string) => string,
): Settings => {
  // A word before the flags is a script or a subcommand.
  const begin = words.findIndex((word) => word.startsWith('-'));
  const flags = new Map(parseFlags(begin < 0 ? [] : words.slice(begin).filter((word) => word !== '')));
  if (!flags.has('config')) flags.set('proxy-mode', ['ipvs']);
  const files = (flags.get('config') ?? []).map((name) => ({ name, text: withModeIpvs(readFile(name)) }));
  return resolveSettings({ flags, files, hostname: nodeName });
};

/** The kube-proxy of this network namespace; undefined where none is visible. */
export const kubeProxyFact = async (nodeName: string): Promise<KubeProxyFact | undefined> => {
  const found = programs().find(({ name }) => name === 'kube-proxy');
  if (found === undefined) return undefined;
  const { pid } = found;
  const settings = await collectFact(
    () =>
      kubeProxySettings(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0'), nodeName, (name) =>
        readFileSync(`/proc/${pid}/root${name}`, 'utf8'),
      ),
    'the configuration of kube-proxy',
    runOnNode(`tr '\\0' ' ' < /proc/${pid}/cmdline`),
  );
  return { pid, settings };
};

const ifReadable = async <T>(read: () => readonly T[] | Promise<readonly T[]>): Promise<readonly T[]> => {
  try {
    return await read();
  } catch {
    return []; // no permission, or a kernel without that part
  }
};

/** The mode of kube-proxy's rules in the kernel; undefined: there are none. */
export const modeInKernel = async (): Promise<ProxyMode | undefined> => {
  const chains = [...(await ifReadable(nftablesChains)), ...(await ifReadable(legacyChains))];
  return modeOfRules(chains, await ifReadable(ipsetNames));
};

/** As the metrics port of kube-proxy reports it; kube-ipvs answers too. */
const modeOnMetricsPort = async (metricsBindAddress: string): Promise<ProxyMode | undefined> => {
  const url = localUrl(metricsBindAddress, '/proxyMode');
  if (url === undefined) return undefined;
  const page = await fetchPage(url).catch(() => undefined);
  const mode = page?.status === 200 ? page.body.trim() : undefined;
  return mode === 'ipvs' || mode === 'iptables' || mode === 'nftables' ? mode : undefined;
};

/** The mode of the running kube-proxy, or that of the rules which it left. */
export const proxyMode = async (metricsBindAddress: string): Promise<ProxyMode | undefined> =>
  (await modeOnMetricsPort(metricsBindAddress)) ?? modeInKernel();

/** The base chains from which kube-proxy itself jumps to its chains. */
const baseChains: readonly string[] = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'];

/** The rules of other programs that jump to chains of kube-proxy, in the tables of iptables-nft. */
export const dependentRules = async (): Promise<readonly DependentRule[]> => {
  try {
    const tables = await foreignChains((chain) => kubeProxyChain.test(chain));
    return tables.flatMap(({ family, table, jumps }) =>
      jumps.filter(({ chain }) => !baseChains.includes(chain)).map(({ chain }) => ({ family, table, chain })),
    );
  } catch (error) {
    if (error instanceof NetlinkError && error.errno !== 'EPERM') return [];
    throw error;
  }
};
