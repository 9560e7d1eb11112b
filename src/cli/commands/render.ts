import { command, outputOption, text, texts } from '../command.js';

export const renderCommand = command({
  name: 'render',
  summary: 'Shows what a node would program for these Services, EndpointSlices and Nodes.',
  about: 'Pure: asks no cluster and no kernel.',
  options: {
    filename: texts('path', 'a file or folder of manifests, YAML or JSON; - is standard input; repeatable', {
      short: 'f',
      mandatory: true,
      completion: 'file',
    }),
    output: outputOption(['json', 'ipvsadm', 'plan'], 'json'),
    config: texts('file', 'KubeProxyConfiguration; repeatable', { completion: 'file' }),
    nodeAddresses: text('list', "the node's addresses, as 10.0.0.5/24,fd00::5/64 (default: this machine's)"),
    hostnameOverride: text('name', 'the name of the Node (default: the name of this machine)'),
    ipvsScheduler: text('name', 'the scheduler of Services that name none (default: rr)'),
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
    const { render } = await import('../render.js');
    return render(options);
  },
});
