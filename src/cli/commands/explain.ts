import { serviceProxyNameOption } from '../admin/instance.js';
import { adminSocketHelp } from '../../config/environment.js';
import { defineCommand, outputOption, stringOption } from '../framework/command.js';

export const explainCommand = defineCommand({
  name: 'explain',
  summary: 'Explain how a Service, VIP, node port or pod is programmed, and why',
  description:
    'Shows the Service, which endpoints get connections and why others do not, whether the kernel matches the desired state, which ' +
    'packet rules apply, and which settings of the node matter; then a verdict and what to do. With --from, it traces a packet ' +
    'through the rules and tables that the kernel has now. It changes nothing. Without the daemon, it explains an address by the ' +
    'state of the kernel only. docs/explain.md lists the checks and the fields of -o json.',
  operand: {
    name: 'target',
    summary:
      'a Service (shop/web, shop/web:http, web), a VIP (10.96.0.1), a VIP with a port (10.96.0.1:443, "UDP [fd00::a]:53"), a node port (:30080), or a pod (pod/web-1, 10.244.1.5)',
    mandatory: true,
    completion: 'target',
  },
  options: {
    from: stringOption(
      'source',
      'trace a packet from pod, node, outside, an address, pod=ADDRESS or outside=ADDRESS',
    ),
    namespace: stringOption('name', 'namespace of the target', { short: 'n' }),
    output: outputOption(['text', 'json', 'yaml'], 'text'),
    serviceProxyName: serviceProxyNameOption,
    adminSocket: stringOption('path', adminSocketHelp, { completion: 'file' }),
  },
  examples: [
    ['kube-ipvs explain shop/web', 'check a Service'],
    ['kube-ipvs explain 10.96.0.10:53', 'find the Service of an address, and check it'],
    ['kube-ipvs explain :30080 --from outside', 'trace a packet from outside the cluster to a node port'],
    ['kube-ipvs explain shop/web --from 10.244.1.5', 'trace a packet from the pod with this address'],
    ['kube-ipvs explain pod/web-1 -n shop', 'find out why a pod gets no connections'],
    ["kube-ipvs explain shop/web -o json | jq -r '.stories[].verdict.next'"],
  ],
  requirements: 'Needs the daemon on this node to find names, and CAP_NET_ADMIN to read the kernel.',
  exitStatuses: ['no errors found', 'errors found, or the target was not found', 'invalid command line'],
  run: async ([target = ''], options) => {
    const { explain } = await import('../explain/explain.js');
    return explain(target, options);
  },
});
