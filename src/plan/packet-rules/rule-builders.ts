import type { BaseChainHook, Chain, Expression, Rule } from '../../nftables/declarations.js';

export const rule = (
  comment: string | undefined,
  ...parts: readonly (Expression | readonly Expression[])[]
): Rule => ({
  comment,
  expressions: parts.flat(),
});

export const chain = (name: string, ...rules: readonly Rule[]): Chain => ({ name, hook: undefined, rules });

export const baseChain = (
  name: string,
  type: BaseChainHook['type'],
  hook: BaseChainHook['hook'],
  priority: number,
  ...rules: readonly Rule[]
): Chain => ({ name, hook: { type, hook, priority, policy: 'accept' }, rules });
