/** The remedy for a kernel without IPVS. */
export const missingIpvs =
  'it has no generic netlink family IPVS, so the module ip_vs is not loaded; load it (sudo modprobe ip_vs), at every boot by a line ' +
  '"ip_vs" in /etc/modules-load.d/ipvs.conf; if there is no such module, install the package with the modules of kernel ' +
  '$(uname -r), or boot a kernel with CONFIG_IP_VS and CONFIG_IP_VS_IPV6';

/** The remedy for a kernel that refuses access to IPVS. */
export const missingCapability =
  'IPVS needs the capability CAP_NET_ADMIN in the user namespace that owns this network: run as root, or in a pod give the ' +
  'container securityContext.capabilities.add: [NET_ADMIN] and the pod hostNetwork: true';
