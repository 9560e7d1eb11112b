/** How the text after a flag is read; what the text may be is the configuration's business. */
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
  /** The field of KubeProxyConfiguration that it sets, as `ipvs.syncPeriod`; undefined where no field has its meaning. */
  readonly field: string | undefined;
  /** What stands for the value in help. */
  readonly placeholder: string;
  readonly help: string;
  /** Given together with a file, the flag counts (kube-proxy-ipvs §1.3). */
  readonly appliesWithFile: boolean;
}

/** Makes the flags of a group. */
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
