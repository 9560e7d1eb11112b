import { defaultInstance, serviceProxyNameLabel, type InstanceNames } from '../model/instance-names.js';

/** Overrides the default for all commands. */
export const adminSocketVariable = 'KUBE_IPVS_ADMIN_SOCKET';

export const adminSocketHelp = `the Unix socket on which the daemon serves its state to the other commands; empty: none (default ${defaultInstance.adminSocket}, or $${adminSocketVariable})`;

export type Environment = Readonly<Record<string, string | undefined>>;

/** The path of the admin socket, '' for none: the requested one, that of the environment, or the default of the instance. */
export const adminSocketPath = (
  requested: string | undefined,
  environment: Environment,
  { adminSocket }: Pick<InstanceNames, 'adminSocket'>,
): string => requested ?? environment[adminSocketVariable] ?? adminSocket;

/** The instance of all commands that are given no other one. */
export const serviceProxyNameVariable = 'KUBE_IPVS_SERVICE_PROXY_NAME';

export const serviceProxyNameFlag = '--service-proxy-name';

export const serviceProxyNameHelp = `serve only the Services with this value of the label ${serviceProxyNameLabel}, beside another service proxy that serves the rest (default: serviceProxyName in a file, or $${serviceProxyNameVariable})`;
