import type { ServiceKey } from '../service.js';

const patternShape = /^[a-z0-9.*-]+\/[a-z0-9.*-]+$/;

/** Whether the text is `namespace/name` of Services, in which `*` stands for any characters: `shop/*`, `*\/dns`. */
export const isServicePattern = (text: string): boolean => patternShape.test(text);

const expressionOf = (pattern: string): string => pattern.replaceAll('.', '\\.').replaceAll('*', '[^/]*');

/** Whether one of the patterns matches a Service. */
export const serviceMatcher = (patterns: readonly string[]): ((service: ServiceKey) => boolean) => {
  if (patterns.length === 0) return () => false;
  const expression = new RegExp(`^(?:${patterns.map(expressionOf).join('|')})$`);
  return (service) => expression.test(service);
};
