import type { Family } from '../../base/ip.js';
import {
  markElement,
  setElement,
  type BaseChainHook,
  type Rule,
  type SetDeclaration,
  type SetElement,
} from '../../nftables/declarations.js';
import { registerNumberOf } from '../../nftables/register-value.js';
import type { Decoded } from '../../netlink/codec/attributes.js';
import { ProtocolError } from '../../netlink/errors.js';
import type { chain, element, rule, set } from './attributes.js';
import { setIsMap, verdictDataType } from './attributes.js';
import { expressionFrom, verdictFrom } from './expressions.js';
import { fieldsFrom, keyFromType, keyLength, markDataType, markLength } from './set-keys.js';
import { commentFrom, UserData } from './user-data.js';

const isChainType = (type: string | undefined): type is BaseChainHook['type'] =>
  type === 'filter' || type === 'nat' || type === 'route';

/** Undefined for a chain that is entered only from others, and for an unknown hook. */
export const hookFrom = ({ hook, type, policy }: Decoded<typeof chain>): BaseChainHook | undefined =>
  hook?.hook === undefined || !isChainType(type)
    ? undefined
    : { type, hook: hook.hook, priority: hook.priority, policy: policy ?? 'accept' };

export const ruleFrom = ({ expressions = [], userData }: Decoded<typeof rule>, family: Family): Rule => ({
  expressions: expressions.map((expression) => expressionFrom(expression, family)),
  comment: commentFrom(userData, UserData.ruleComment),
});

/** Undefined for a set that we could not have declared: with other fields, timeouts, intervals or another kind of data. */
export const setFrom = (values: Decoded<typeof set>, family: Family): SetDeclaration | undefined => {
  const { name, flags = 0, keyType = 0, keyLength: length, dataType } = values;
  const key = keyFromType(keyType, family);
  const verdicts = flags === setIsMap && dataType === verdictDataType;
  const marks = flags === setIsMap && dataType === markDataType;
  if (name === undefined || key === undefined || length !== keyLength(key, family)) return undefined;
  if (!verdicts && !marks && flags !== 0) return undefined;
  const comment = commentFrom(values.userData, UserData.setComment) ?? '';
  return { name, key, verdicts, ...(marks ? { marks } : {}), comment };
};

export const elementFrom = (
  { key, data, userData }: Decoded<typeof element>,
  set: SetDeclaration,
  family: Family,
): SetElement => {
  if (key?.value === undefined) throw new ProtocolError('is missing', 'key');
  const verdict = verdictFrom(data);
  const comment = commentFrom(userData, UserData.elementComment);
  const fields = fieldsFrom(key.value, set.key, family);
  const bare =
    set.marks === true && data?.value?.length === markLength
      ? markElement(family, set.name, fields, registerNumberOf(data.value))
      : setElement(family, set.name, fields, verdict?.verdict === 'goto' ? verdict.chain : undefined);
  return comment === undefined ? bare : { ...bare, comment };
};
