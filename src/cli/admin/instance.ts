import { resolveInstance } from '../../config/resolve-instance.js';
import { serviceProxyNameVariable } from '../../config/environment.js';
import { serviceProxyNameLabel, type InstanceNames } from '../../model/instance-names.js';
import { stringOption } from '../framework/command.js';

/** Which instance of kube-ipvs on this node a command is about. */
export interface InstanceOptions {
  /** The path of its admin socket; '': do not use it; undefined: the default of the instance. */
  readonly adminSocket?: string | undefined;
  /** The value of its serviceProxyName; undefined: that of the environment, or the instance without one. */
  readonly serviceProxyName?: string | undefined;
}

export const serviceProxyNameOption = stringOption(
  'name',
  `the instance that serves the Services with this value of the label ${serviceProxyNameLabel} (default: $${serviceProxyNameVariable}, else the instance that serves Services without the label)`,
);

/** The names of what the instance makes. Throws a UsageError for an invalid name. */
export const namesOf = ({ serviceProxyName }: InstanceOptions): InstanceNames =>
  resolveInstance(serviceProxyName, '', process.env);
