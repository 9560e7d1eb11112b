import { serviceProxyNameOption } from '../admin/instance.js';
import { defineCommand, outputOption, stringOption, stringListOption } from '../framework/command.js';

export const renderCommand = defineCommand({
  name: 'render',
  summary: 'Show what a node would program for Services, EndpointSlices and Nodes in files',
  description: 'Reads neither a cluster nor the kernel.',
  options: {
    filename: stringListOption(
      'path',
      'file or directory of manifests, YAML or JSON; - is standard input; repeatable',
      {
        short: 'f',
        mandatory: true,
        completion: 'file',
      },
    ),
    output: outputOption(['json', 'ipvsadm', 'plan'], 'json'),
    config: stringListOption('file', 'KubeProxyConfiguration file; repeatable', { completion: 'file' }),
    nodeAddresses: stringOption(
      'list',
      "the node's addresses, for example 10.0.0.5/24,fd00::5/64 (default: those of this machine)",
    ),
    hostnameOverride: stringOption('name', 'the name of the Node (default: the host name)'),
    ipvsScheduler: stringOption('name', 'the default scheduler of Services (default: rr)'),
    serviceProxyName: serviceProxyNameOption,
  },
  examples: [
    ['kube-ipvs render -f service.yaml -f slices.yaml'],
    [
      'kubectl get services,endpointslices,nodes -A -o yaml | kube-ipvs render -f - --hostname-override=node-1',
    ],
    ['kube-ipvs render -f manifests/ --node-addresses=10.0.0.5/24,fd00::5/64 -o ipvsadm'],
  ],
  exitStatuses: ['success', 'error', 'invalid command line'],
  run: async (_, options) => {
    const { render } = await import('../render/render.js');
    return render(options);
  },
});
