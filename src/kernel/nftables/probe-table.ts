import type { Family } from '../../base/ip.js';
import type { BaseChainHook, TableDeclaration } from '../../nftables/declarations.js';

const hookOf = (type: BaseChainHook['type']): BaseChainHook => ({
  type,
  hook: 'output',
  priority: 0,
  policy: 'accept',
});

/** A table that is only tried, never committed: chains of the kinds that packet rules need. */
export const probeTable = (family: Family): TableDeclaration => ({
  family,
  name: 'probe-of-kube-ipvs',
  sets: [],
  chains: [
    { name: 'filter', hook: hookOf('filter'), rules: [] },
    { name: 'nat', hook: hookOf('nat'), rules: [] },
  ],
});

/** What a kernel answers to the probe that has no nftables, not for the family, or not that kind of chain. */
export const unsupportedErrnos: ReadonlySet<string> = new Set([
  'EOPNOTSUPP',
  'EAFNOSUPPORT',
  'EPROTONOSUPPORT',
  'ENOENT',
  'EINVAL',
]);
