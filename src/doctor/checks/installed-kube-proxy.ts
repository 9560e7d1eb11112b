import type { Facts, InstalledKubeProxy } from '../facts.js';
import { abbreviatedList, checkFact, fail, pass, warn, type CheckResult } from '../check-result.js';
import { advise, type Remedy } from '../remedy.js';
import { withApiServer } from './kubernetes.js';

const remove = advise('Remove kube-proxy.', 'kubectl -n kube-system delete daemonset,configmap kube-proxy');

/** Each distribution installs its kube-proxy in another way. */
const readInstall: Remedy = advise('Keep it away after upgrades as docs/install describes.');

const disableInKubeadm = [
  advise(
    'Set `proxy: {disabled: true}` in ClusterConfiguration.',
    'kubectl -n kube-system edit configmap kubeadm-config',
  ),
  advise(
    'Or leave out that phase of each upgrade.',
    'kubeadm upgrade apply --skip-phases=addon/kube-proxy VERSION',
  ),
] as const;

const isKubeProxyImage = (image: string): boolean => /(?:^|\/)[^/:@]*kube-proxy[^/:@]*(?:[:@]|$)/.test(image);

const checkDaemonSet = ({
  image,
  selectsNode,
}: NonNullable<InstalledKubeProxy['daemonSet']>): CheckResult => {
  if (!isKubeProxyImage(image))
    return warn(
      `the DaemonSet kube-system/kube-proxy runs ${image}: an upgrade with kubeadm replaces it by kube-proxy`,
      advise('Install the chart of kube-ipvs in its place (docs/install/kubeadm.md).'),
      ...disableInKubeadm,
    );
  const text = `the DaemonSet kube-system/kube-proxy (${image})`;
  return selectsNode
    ? fail(`${text} selects this node: two proxies undo each other's changes`, remove, readInstall)
    : warn(
        `${text} does not select this node, but an upgrade may change its nodeSelector`,
        remove,
        readInstall,
      );
};

const checkAbsent = ({ hasConfigMap, kubeadm, pods }: InstalledKubeProxy): CheckResult => {
  if (kubeadm !== undefined && !kubeadm.proxyDisabled)
    return warn(
      'the ConfigMap kube-system/kubeadm-config does not disable kube-proxy: an upgrade with kubeadm 1.32 or newer installs it again',
      ...disableInKubeadm,
    );
  if (hasConfigMap)
    return warn(
      'the ConfigMap kube-system/kube-proxy is left: an upgrade with kubeadm 1.31 or older then installs kube-proxy again',
      advise('Remove it.', 'kubectl -n kube-system delete configmap kube-proxy'),
    );
  const unseen = pods === undefined ? '; its pods were not checked, because listing pods is not allowed' : '';
  return pass(`no DaemonSet and no ConfigMap of kube-proxy in kube-system${unseen}`);
};

const checkInstalled = (installed: InstalledKubeProxy): CheckResult => {
  const { daemonSet, pods = [] } = installed;
  if (daemonSet !== undefined) return checkDaemonSet(daemonSet);
  if (pods.length > 0)
    return fail(
      `kube-proxy runs on this node without a DaemonSet: pod ${abbreviatedList(pods)}`,
      advise('Turn off the kube-proxy of the distribution.'),
      readInstall,
    );
  return checkAbsent(installed);
};

/** Whether the cluster has a kube-proxy that fights with kube-ipvs, now or after an upgrade. */
export const installedKubeProxy = (facts: Facts): CheckResult =>
  withApiServer(facts, ({ kubeProxy }) => checkFact(kubeProxy, checkInstalled));
