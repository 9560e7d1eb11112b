// Parts of the status response. docs/admin-api.md is generated from this file too.

/** Objects of kube-ipvs that another program changed. */
export interface DriftResponse {
  /** Their kind: `address`, `virtual-server`, `packet-rule`; and what was wrong: `missing`, `differs`. */
  readonly object: string;
  readonly drift: string;
  readonly count: number;
}

/** The kernel's daemon of one role that synchronizes connections with other nodes. */
export interface SyncDaemonResponse {
  /** The `master` sends, the `backup` receives. */
  readonly role: 'master' | 'backup';
  /** `foreign`: another program runs it, and kube-ipvs leaves it alone. */
  readonly status: 'running' | 'stopped' | 'foreign';
  /** Of the daemon that runs. */
  readonly interface?: string;
  readonly group?: number;
  readonly address?: string;
  readonly port?: number;
  /** Why the configured one does not run. */
  readonly trouble?: string;
}
