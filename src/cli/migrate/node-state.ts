import type { ProxyMode } from '../../doctor/migration/migration-facts.js';

/** Which proxy runs on this node, as far as it can be seen. */
export interface NodeState {
  /** The daemon that answers on its admin socket. */
  readonly kubeIpvs:
    | { readonly pid: number; readonly synced: boolean; readonly trouble: string | undefined }
    | undefined;
  /** Process ids; none where this process namespace is not the node's. */
  readonly kubeIpvsProcesses: readonly number[];
  readonly kubeProxyProcesses: readonly number[];
  /** The health port, which both proxies have; `off`: the configuration turns it off. */
  readonly health: 'healthy' | 'unhealthy' | 'closed' | 'off';
  /** The mode of which kube-proxy's rules are in the kernel; undefined: there are none. */
  readonly kubeProxyRules: ProxyMode | undefined;
}

const processList = (name: string, pids: readonly number[]): string =>
  `${name} (process ${pids.join(', ')}) to stop`;

/** What is still missing until kube-proxy has ended: the end of "waited for". Undefined: nothing. */
export const missingForKubeProxyEnd = ({ kubeProxyProcesses }: NodeState): string | undefined =>
  kubeProxyProcesses.length > 0 ? processList('kube-proxy', kubeProxyProcesses) : undefined;

/** The same for kube-ipvs. */
export const missingForKubeIpvsEnd = ({ kubeIpvs, kubeIpvsProcesses }: NodeState): string | undefined => {
  if (kubeIpvsProcesses.length > 0) return processList('kube-ipvs', kubeIpvsProcesses);
  return kubeIpvs === undefined ? undefined : processList('kube-ipvs', [kubeIpvs.pid]);
};

/** What is still missing until kube-ipvs serves this node alone. */
export const missingForKubeIpvs = (state: NodeState): string | undefined => {
  const { kubeIpvs } = state;
  const running = missingForKubeProxyEnd(state);
  if (running !== undefined) return running;
  if (kubeIpvs === undefined) return 'kube-ipvs to answer on its admin socket';
  if (!kubeIpvs.synced)
    return `the first sync of kube-ipvs (process ${kubeIpvs.pid})${kubeIpvs.trouble === undefined ? '' : `: ${kubeIpvs.trouble}`}`;
  return undefined;
};

/** What is still missing until kube-proxy serves this node alone. */
export const missingForKubeProxy = (state: NodeState): string | undefined => {
  const { kubeProxyProcesses, health, kubeProxyRules } = state;
  const running = missingForKubeIpvsEnd(state);
  if (running !== undefined) return running;
  if (health === 'closed' || (health === 'off' && kubeProxyProcesses.length === 0))
    return 'kube-proxy to start';
  if (health === 'unhealthy') return 'kube-proxy to become healthy';
  return kubeProxyRules === undefined ? 'the first rules of kube-proxy' : undefined;
};
