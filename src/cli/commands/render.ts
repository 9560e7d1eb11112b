import { defineCommand, outputOption, stringOption, stringListOption } from '../framework/command.js';

export const renderCommand = defineCommand({
  name: 'render',
  summary: 'Shows what a node would program for these Services, EndpointSlices and Nodes.',
  description: 'Pure: asks no cluster and no kernel.',
  options: {
    filename: stringListOption(
      'path',
      'a file or folder of manifests, YAML or JSON; - is standard input; repeatable',
      {
        short: 'f',
        mandatory: true,
        completion: 'file',
      },
    ),
    output: outputOption(['json', 'ipvsadm', 'plan'], 'json'),
    config: stringListOption('file', 'KubeProxyConfiguration; repeatable', { completion: 'file' }),
    nodeAddresses: stringOption(
      'list',
      "the node's addresses, as 10.0.0.5/24,fd00::5/64 (default: this machine's)",
    ),
    hostnameOverride: stringOption('name', 'the name of the Node (default: the name of this machine)'),
    ipvsScheduler: stringOption('name', 'the scheduler of Services that name none (default: rr)'),
  },
  examples: [
    ['kube-ipvs render -f service.yaml -f slices.yaml'],
    [
      'kubectl get services,endpointslices,nodes -A -o yaml | kube-ipvs render -f - --hostname-override=node-1',
    ],
    ['kube-ipvs render -f manifests/ --node-addresses=10.0.0.5/24,fd00::5/64 -o ipvsadm'],
  ],
  exitStatuses: ['done', 'an error', 'called wrongly'],
  run: async (_, options) => {
    const { render } = await import('../render/render.js');
    return render(options);
  },
});
