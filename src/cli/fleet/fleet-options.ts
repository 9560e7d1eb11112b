/** Which API server is asked, and as whom: the options of kubectl with these names. */
export interface ClusterOptions {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly cluster: string | undefined;
  readonly user: string | undefined;
  readonly server: string | undefined;
  readonly token: string | undefined;
  readonly as: string | undefined;
}

/** Options of all commands that ask many nodes. */
export interface FleetOptions extends ClusterOptions {
  /** The namespace of the daemons' pods, and the label selector that finds them. */
  readonly namespace: string;
  readonly podSelector: string;
  /** A label selector of Nodes; undefined: all. */
  readonly selector: string | undefined;
  /** Names of nodes; empty: all. */
  readonly node: readonly string[];
  /** How many nodes are asked at the same time. */
  readonly parallel: number;
  /** How long a node may take to answer. */
  readonly timeoutMilliseconds: number;
}

const statuses = { well: 0, trouble: 1, error: 2, incomplete: 3 } as const;

/** The exit statuses of a command, from 0 on. */
export const fleetExitStatuses = (trouble: string): readonly string[] => [
  'every node answered, and nothing needs attention',
  trouble,
  'the cluster cannot be asked, or invalid command line',
  'nothing needs attention where nodes answered, but some did not',
];

/** The exit status: what was found counts more than who did not answer. */
export const fleetStatusOf = (hasTrouble: boolean, isIncomplete: boolean): number => {
  if (hasTrouble) return statuses.trouble;
  return isIncomplete ? statuses.incomplete : statuses.well;
};
