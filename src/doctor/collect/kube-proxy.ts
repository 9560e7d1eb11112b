import { parseYaml } from '../../base/yaml.js';
import { isRecord } from '../../base/records.js';
import type { InstalledKubeProxy } from '../facts.js';
import { bodyOf, type SendRequest } from './api-request.js';

type Fields = Readonly<Record<string, unknown>>;

export const kubeProxyObjects = 'the DaemonSet and the ConfigMaps';

/** The value at a path of fields and list indexes; undefined where the path ends earlier. */
const at = (value: unknown, ...path: readonly (string | number)[]): unknown =>
  path.reduce<unknown>((inner, key) => {
    if (typeof key === 'number') return Array.isArray(inner) ? (inner as readonly unknown[])[key] : undefined;
    return isRecord(inner) ? inner[key] : undefined;
  }, value);

const textAt = (value: unknown, ...path: readonly (string | number)[]): string => {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : '';
};

const itemsOf = (list: Fields): readonly unknown[] => (Array.isArray(list['items']) ? list['items'] : []);

const getObject = async (send: SendRequest, path: string): Promise<Fields | undefined> => {
  const response = await send({ method: 'GET', path });
  return response.status === 404 ? undefined : bodyOf(response);
};

const labelsOfNode = async (send: SendRequest, name: string): Promise<unknown> => {
  const selector = encodeURIComponent(`metadata.name=${name}`);
  const list = bodyOf(await send({ method: 'GET', path: `/api/v1/nodes?fieldSelector=${selector}` }));
  return at(itemsOf(list)[0], 'metadata', 'labels');
};

/** kubeadm labels its pods `k8s-app`, RKE2 its static pods `component`. */
const podSelectors = ['k8s-app=kube-proxy', 'component=kube-proxy'];

/** Names of the pods of kube-proxy on the node; undefined where the credential may not list pods. The chart grants no such right. */
const podsOnNode = async (send: SendRequest, name: string): Promise<readonly string[] | undefined> => {
  const found: string[] = [];
  for (const labelSelector of podSelectors) {
    const query = new URLSearchParams({ labelSelector, fieldSelector: `spec.nodeName=${name}` });
    const response = await send({
      method: 'GET',
      path: `/api/v1/namespaces/kube-system/pods?${query.toString()}`,
    });
    if (response.status === 403) return undefined;
    if (response.status === 404) return [];
    found.push(...itemsOf(bodyOf(response)).map((pod) => textAt(pod, 'metadata', 'name')));
  }
  return found;
};

const listAt = (value: unknown, ...path: readonly string[]): readonly unknown[] | undefined => {
  const found = at(value, ...path);
  return Array.isArray(found) ? (found as readonly unknown[]) : undefined;
};

/** Whether labels meet a requirement of a node affinity. One that compares numbers counts as met: the check then warns. */
const meets = (labels: unknown, requirement: unknown): boolean => {
  const value = at(labels, textAt(requirement, 'key'));
  const isListed = listAt(requirement, 'values')?.includes(value) ?? false;
  switch (at(requirement, 'operator')) {
    case 'In':
      return isListed;
    case 'NotIn':
      return !isListed;
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      return true;
  }
};

/** Whether a node with these labels matches the DaemonSet's nodeSelector and its required node affinity. */
const selects = (daemonSet: Fields, labels: unknown): boolean => {
  const pod = at(daemonSet, 'spec', 'template', 'spec');
  const selector = at(pod, 'nodeSelector');
  const isSelected =
    !isRecord(selector) || Object.entries(selector).every(([label, value]) => at(labels, label) === value);
  const required = at(pod, 'affinity', 'nodeAffinity', 'requiredDuringSchedulingIgnoredDuringExecution');
  const terms = listAt(required, 'nodeSelectorTerms');
  const matches = (term: unknown): boolean =>
    (listAt(term, 'matchExpressions') ?? []).every((requirement) => meets(labels, requirement));
  return isSelected && (terms === undefined || terms.some(matches));
};

const configMapPath = (name: string): string => `/api/v1/namespaces/kube-system/configmaps/${name}`;

/** `proxy.disabled` of ClusterConfiguration (kubeadm.k8s.io/v1beta4). */
const proxyDisabled = (kubeadmConfig: Fields): boolean =>
  parseYaml(textAt(kubeadmConfig, 'data', 'ClusterConfiguration')).some(
    ({ value }) => at(value, 'proxy', 'disabled') === true,
  );

/** Which objects of kube-proxy the cluster has, as far as they concern the node. */
export const installedKubeProxy = async (
  send: SendRequest,
  nodeName: string,
): Promise<InstalledKubeProxy> => {
  const daemonSet = await getObject(send, '/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy');
  const configMap = await getObject(send, configMapPath('kube-proxy'));
  const kubeadm = await getObject(send, configMapPath('kubeadm-config'));
  return {
    daemonSet: daemonSet && {
      image: textAt(daemonSet, 'spec', 'template', 'spec', 'containers', 0, 'image'),
      selectsNode: selects(daemonSet, await labelsOfNode(send, nodeName)),
    },
    hasConfigMap: configMap !== undefined,
    kubeadm: kubeadm && { proxyDisabled: proxyDisabled(kubeadm) },
    pods: await podsOnNode(send, nodeName),
  };
};
