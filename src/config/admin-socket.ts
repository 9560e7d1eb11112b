/** Where the daemon's admin socket is, unless somebody says otherwise. */
export const defaultAdminSocket = '/run/kube-ipvs/admin.sock';

/** Says otherwise to all commands alike. */
export const adminSocketVariable = 'KUBE_IPVS_ADMIN_SOCKET';

export const adminSocketHelp = `the unix socket on which the daemon tells its state to the other commands; empty: none (default ${defaultAdminSocket}, or $${adminSocketVariable})`;

export type Environment = Readonly<Record<string, string | undefined>>;

/** The path of the admin socket, '' for none: what was asked for, else what the environment says, else the default. */
export const adminSocketPath = (requested: string | undefined, environment: Environment): string =>
  requested ?? environment[adminSocketVariable] ?? defaultAdminSocket;
