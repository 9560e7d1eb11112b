import { adminSocketHelp } from '../../config/admin-socket.js';
import { defineCommand, outputOption, stringOption } from '../framework/command.js';

export const explainCommand = defineCommand({
  name: 'explain',
  summary:
    'Tells the story of one Service, VIP, node port or pod: what should be, what is, why, and what to do next.',
  description:
    'What the API says, which endpoints get connections and why the others do not, whether the kernel has what it should, which packet rules ' +
    'apply, and the settings of this node that matter; at the end a verdict. With --from it follows a packet, by the rules and tables that ' +
    'the kernel has now. It changes nothing. Without a daemon it tells what the kernel alone shows of an address. docs/explain.md ' +
    'lists what is judged and the keys of -o json.',
  operand: {
    name: 'target',
    summary:
      'a Service (shop/web, shop/web:http, web), a VIP (10.96.0.1), a VIP with a port (10.96.0.1:443, "UDP [fd00::a]:53"), a node port (:30080), or a pod (pod/web-1, 10.244.1.5)',
    mandatory: true,
    completion: 'target',
  },
  options: {
    from: stringOption(
      'who',
      'follow a packet of pod, node, outside, of an address, or of pod=ADDRESS or outside=ADDRESS',
    ),
    namespace: stringOption('name', 'of the target', { short: 'n' }),
    output: outputOption(['text', 'json', 'yaml'], 'text'),
    adminSocket: stringOption('path', adminSocketHelp, { completion: 'file' }),
  },
  examples: [
    ['kube-ipvs explain shop/web', 'a Service: is it well, and if not, why'],
    ['kube-ipvs explain 10.96.0.10:53', 'whose is this address, and what becomes of connections to it'],
    ['kube-ipvs explain :30080 --from outside', 'what a packet from outside meets at a node port'],
    ['kube-ipvs explain shop/web --from 10.244.1.5', 'the same for a packet from that pod'],
    ['kube-ipvs explain pod/web-1 -n shop', 'why a pod gets no connections'],
    ["kube-ipvs explain shop/web -o json | jq -r '.stories[].verdict.next'"],
  ],
  requirements:
    'Needs the daemon on this node for all that has a name, and CAP_NET_ADMIN to look into the kernel.',
  exitStatuses: [
    'nothing is wrong',
    'something is wrong with the target, or there is no such target',
    'called wrongly',
  ],
  run: async ([target = ''], options) => {
    const { explain } = await import('../explain/explain.js');
    return explain(target, options);
  },
});
