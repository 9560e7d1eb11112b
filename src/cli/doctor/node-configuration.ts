import { existsSync } from 'node:fs';
import { InputError } from '../../base/errors.js';
import { loadSettings } from '../../config/load-settings.js';
import { parseFlags } from '../../config/parse-flags.js';
import type { Facts } from '../../doctor/facts.js';

/** The options that name the configuration of this node. */
export interface ConfigurationOptions {
  readonly config: readonly string[];
  /** The name of the Node. */
  readonly hostnameOverride: string | undefined;
  /** That of the configuration or the environment, if undefined. */
  readonly serviceProxyName?: string | undefined;
}

/** The path that kubeadm and deploy/base use. */
const defaultConfigurationPath = '/var/lib/kube-proxy/config.conf';

/** The configuration of --config or of the default file. Where it is not valid: the defaults, with its problems. */
export const readConfiguration = ({
  config,
  hostnameOverride,
  serviceProxyName,
}: ConfigurationOptions): Facts['configuration'] => {
  const files = config.length > 0 ? config : [defaultConfigurationPath].filter((file) => existsSync(file));
  const name = hostnameOverride ?? process.env['NODE_NAME'];
  const flags = [
    ...(name === undefined ? [] : [`--hostname-override=${name}`]),
    ...(serviceProxyName === undefined ? [] : [`--service-proxy-name=${serviceProxyName}`]),
  ];
  try {
    const settings = loadSettings(parseFlags([...flags, ...files.map((file) => `--config=${file}`)]));
    return { files, settings, problems: [] };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { files, settings: loadSettings(parseFlags(flags)), problems: error.message.split('\n') };
  }
};
