/** How the value of a flag is parsed; the configuration validates it. */
export type FlagKind = 'text' | 'boolean' | 'number' | 'list' | 'pairs';

export const flagGroups = [
  'Source and run',
  'IPVS',
  'Connection to the cluster',
  'Node and addresses',
  'Logging',
  'Serving',
  'Kernel settings',
  'Other modes (accepted, no effect here)',
] as const;
export type FlagGroup = (typeof flagGroups)[number];

export interface Flag {
  readonly name: string;
  readonly kind: FlagKind;
  readonly group: FlagGroup;
  /** The field of KubeProxyConfiguration that it sets, such as `ipvs.syncPeriod`; undefined if there is none. */
  readonly field: string | undefined;
  /** The placeholder for the value in the help. */
  readonly placeholder: string;
  readonly help: string;
  /** The flag applies even with a configuration file (kube-proxy-ipvs §1.3). */
  readonly appliesWithFile: boolean;
}

/** Returns a function that creates the flags of a group. */
export const flag =
  (group: FlagGroup, appliesWithFile = false) =>
  (name: string, kind: FlagKind, placeholder: string, field: string | undefined, help: string): Flag => ({
    name,
    kind,
    group,
    field,
    placeholder,
    help,
    appliesWithFile,
  });
