import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as client from '@kubernetes/client-node';

// The client package's models are generated from the OpenAPI document of the Kubernetes release that they name (1.36): they carry
// the type of every field, and their declarations which fields are required. So this finds unknown and missing fields and
// wrong types, as an API server does with strict field validation; it does not know allowed values and rules between fields.

interface Field {
  readonly baseName: string;
  readonly type: string;
}

const modelsByName: Readonly<Record<string, unknown>> = { ...client };

const fieldsOf = (type: string): readonly Field[] | undefined => {
  const model = modelsByName[type];
  if (typeof model !== 'function' || !('getAttributeTypeMap' in model)) return undefined;
  return (model as { getAttributeTypeMap(): readonly Field[] }).getAttributeTypeMap();
};

const declarations = fileURLToPath(
  new URL('../../../node_modules/@kubernetes/client-node/dist/gen/models/', import.meta.url),
);
const requiredOf = (type: string): readonly string[] =>
  [...readFileSync(`${declarations}${type}.d.ts`, 'utf8').matchAll(/^ {4}'([^']+)': /gm)].map(
    ([, name = '']) => name,
  );

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const objectFaults = (
  value: Readonly<Record<string, unknown>>,
  type: string,
  path: string,
): readonly string[] => {
  const fields = fieldsOf(type);
  if (fields === undefined) return [`${path}: no model ${type}`];
  const types = new Map(fields.map((field) => [field.baseName, field.type]));
  return [
    ...requiredOf(type)
      .filter((name) => !(name in value))
      .map((name) => `${path}.${name}: missing`),
    ...Object.entries(value).flatMap(([name, field]) => {
      const fieldType = types.get(name);
      return fieldType === undefined
        ? [`${path}.${name}: unknown field`]
        : schemaFaults(field, fieldType, `${path}.${name}`);
    }),
  ];
};

/** What is wrong with a value as one of the API's types, `V1DaemonSet` as `Array<string>`; a line for each fault. */
export const schemaFaults = (value: unknown, type: string, path: string): readonly string[] => {
  const item = /^(?:Array|Set)<(.*)>$/.exec(type)?.[1];
  if (item !== undefined)
    return Array.isArray(value)
      ? value.flatMap((one, index) => schemaFaults(one, item, `${path}[${index}]`))
      : [`${path}: must be a list`];
  const member = /^\{ \[key: string\]: (.*); \}$/.exec(type)?.[1];
  if (member !== undefined)
    return isObject(value)
      ? Object.entries(value).flatMap(([key, one]) => schemaFaults(one, member, `${path}.${key}`))
      : [`${path}: must be a map`];
  switch (type) {
    case 'any':
      return [];
    case 'string':
    case 'number':
    case 'boolean':
      return typeof value === type ? [] : [`${path}: must be a ${type}`];
    case 'IntOrString':
      return ['string', 'number'].includes(typeof value) ? [] : [`${path}: must be a number or a string`];
    default:
      return isObject(value) ? objectFaults(value, type, path) : [`${path}: must be an object`];
  }
};
