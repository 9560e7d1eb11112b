import { instanceNames, serviceProxyNameRequirement, type InstanceNames } from '../model/instance-names.js';
import { UsageError } from './parse-flags.js';
import { serviceProxyNameFlag, serviceProxyNameVariable, type Environment } from './environment.js';

const check = (name: string, origin: string): string => {
  const requirement = serviceProxyNameRequirement(name);
  if (requirement === undefined) return name;
  throw new UsageError(`${origin}: ${JSON.stringify(name)} ${requirement}`);
};

/**
 * The names of the instance: that of the flag, of the configuration, or of the environment; otherwise the default one. Throws an
 * UsageError for an invalid name.
 */
export const resolveInstance = (
  requested: string | undefined,
  configured: string,
  environment: Environment,
): InstanceNames => {
  if (requested !== undefined) return instanceNames(check(requested, serviceProxyNameFlag));
  if (configured !== '') return instanceNames(configured);
  return instanceNames(check(environment[serviceProxyNameVariable] ?? '', `$${serviceProxyNameVariable}`));
};
