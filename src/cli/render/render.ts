import type { FlagValues } from '../../config/parse-flags.js';
import { loadSettings } from '../../config/load-settings.js';
import type { InstanceOptions } from '../admin/instance.js';
import { localNodeAddresses, parseNodeAddresses } from '../input/node-addresses.js';
import { readObjects } from '../input/read-objects.js';
import { formatRendered, renderNode } from './render-node.js';
import { printDiagnostic } from '../output/standard-output.js';

export interface RenderOptions extends InstanceOptions {
  /** Files and folders; `-` is standard input. */
  readonly filename: readonly string[];
  readonly output: string;
  readonly config: readonly string[];
  /** `10.0.0.5/24,…`; undefined: this machine's. */
  readonly nodeAddresses: string | undefined;
  readonly hostnameOverride: string | undefined;
  readonly ipvsScheduler: string | undefined;
}

/** The daemon's flags with the same meaning as the options. */
export const renderFlags = ({
  config,
  hostnameOverride,
  ipvsScheduler,
  serviceProxyName,
}: Pick<RenderOptions, 'config' | 'hostnameOverride' | 'ipvsScheduler' | 'serviceProxyName'>): FlagValues =>
  new Map(
    Object.entries({
      config,
      'hostname-override': hostnameOverride === undefined ? undefined : [hostnameOverride],
      'ipvs-scheduler': ipvsScheduler === undefined ? undefined : [ipvsScheduler],
      'service-proxy-name': serviceProxyName === undefined ? undefined : [serviceProxyName],
    }).flatMap(([name, values]) =>
      values === undefined || values.length === 0 ? [] : [[name, values] as const],
    ),
  );

const warn = (text: string): void => {
  printDiagnostic(`warning: ${text}`);
};

/** Prints what the node would program for the objects in the files; warnings go to standard error. Resolves to the exit status; rejects with InputError. */
export const render = async (options: RenderOptions): Promise<number> => {
  const settings = loadSettings(renderFlags(options));
  const addresses =
    options.nodeAddresses === undefined ? localNodeAddresses() : parseNodeAddresses(options.nodeAddresses);
  const objects = readObjects(options.filename, settings.names.serviceProxyName);
  const { desired, warnings } = renderNode(
    {
      services: objects.services.values(),
      slices: objects.endpointSlices.values(),
      nodes: objects.nodes.values(),
      pods: objects.pods,
    },
    settings,
    addresses,
  );
  for (const warning of [...settings.warnings, ...objects.problems, ...warnings]) warn(warning);
  process.stdout.write(formatRendered(desired, options.output));
  return 0;
};
