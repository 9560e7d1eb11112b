import { fnv1a } from '../base/fnv.js';

/** The label of Services that another service proxy than the default one serves (KEP-2447). */
export const serviceProxyNameLabel = 'service.kubernetes.io/service-proxy-name';

/**
 * The names of what one instance of kube-ipvs makes on a node. Two instances, or kube-ipvs and kube-proxy, stay apart by them;
 * only the virtual servers are in one table of the kernel, and the packet rules of each instance mark its own.
 */
export interface InstanceNames {
  /** The value of the label of the Services that the instance serves; '': it serves those without the label. */
  readonly serviceProxyName: string;
  /** The dummy interface that has the VIPs. */
  readonly dummyInterface: string;
  /** The nftables table of each family. */
  readonly table: string;
  /** The metric of local routes to VIPs. */
  readonly routeMetric: number;
  /** The default path of the admin socket. */
  readonly adminSocket: string;
}

/** The names of the instance that serves Services without the label. kube-proxy has the same interface name. */
export const defaultInstance: InstanceNames = {
  serviceProxyName: '',
  dummyInterface: 'kube-ipvs0',
  table: 'kube-ipvs',
  routeMetric: 73,
  adminSocket: '/run/kube-ipvs/admin.sock',
};

/** Names with this prefix are left out where CNI plugins look for interfaces of the node (Calico, MetalLB: kube-ipvs.*). */
const interfacePrefix = 'kube-ipvs-';
const tablePrefix = 'kube-ipvs-';

/** What IFNAMSIZ (include/uapi/linux/if.h) leaves after the prefix. */
const suffixLength = 5;

const hashOf = (name: string): number => fnv1a(new TextEncoder().encode(name));

const interfaceSuffix = (name: string): string =>
  name.length <= suffixLength
    ? name
    : (hashOf(name) % 36 ** suffixLength).toString(36).padStart(suffixLength, '0');

/** Above every metric that people choose, and below 2^31. */
const firstRouteMetric = 0x4000_0000;

/** The names of the instance that serves the Services with this value of the label; '': without the label. */
export const instanceNames = (serviceProxyName: string): InstanceNames =>
  serviceProxyName === ''
    ? defaultInstance
    : {
        serviceProxyName,
        dummyInterface: `${interfacePrefix}${interfaceSuffix(serviceProxyName)}`,
        table: `${tablePrefix}${serviceProxyName}`,
        routeMetric: firstRouteMetric + (hashOf(serviceProxyName) >>> 2),
        adminSocket: `/run/kube-ipvs/admin-${serviceProxyName}.sock`,
      };

const labelValue = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;

/** What a name must be that is no value of a label; undefined for a valid one. */
export const serviceProxyNameRequirement = (name: string): string | undefined =>
  name === '' || labelValue.test(name)
    ? undefined
    : `must be a value of the label ${serviceProxyNameLabel}: at most 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends`;

/** Whether a service proxy keeps VIPs on the interface: kube-proxy or any instance of kube-ipvs. They are no addresses of the node. */
export const isServiceProxyInterface = (name: string): boolean =>
  name === defaultInstance.dummyInterface || name.startsWith(interfacePrefix);

/** Whether the nftables table is one of any instance of kube-ipvs. */
export const isKubeIpvsTable = (name: string): boolean =>
  name === defaultInstance.table || name.startsWith(tablePrefix);

/** Whether a Service or EndpointSlice with these labels belongs to the instance. */
export const isOfInstance = (
  labels: Readonly<Record<string, string | null | undefined>> | null | undefined,
  serviceProxyName: string,
): boolean => (labels?.[serviceProxyNameLabel] ?? undefined) === (serviceProxyName || undefined);
