/** The default path of the admin socket. */
export const defaultAdminSocket = '/run/kube-ipvs/admin.sock';

/** Overrides the default for all commands. */
export const adminSocketVariable = 'KUBE_IPVS_ADMIN_SOCKET';

export const adminSocketHelp = `the Unix socket on which the daemon serves its state to the other commands; empty: none (default ${defaultAdminSocket}, or $${adminSocketVariable})`;

export type Environment = Readonly<Record<string, string | undefined>>;

/** The path of the admin socket, '' for none: the requested one, that of the environment, or the default. */
export const adminSocketPath = (requested: string | undefined, environment: Environment): string =>
  requested ?? environment[adminSocketVariable] ?? defaultAdminSocket;
