import type * as z from 'zod';
import type { DocumentPath } from '../../base/yaml.js';

/** An invalid value; path and `must` form a sentence, such as `ipvs.syncPeriod` `must be a duration …`. */
export interface ConfigurationProblem {
  readonly path: DocumentPath;
  /** `must be …`. */
  readonly must: string;
  /** What to do, as a separate sentence, unless `must` says it. */
  readonly remedy?: string;
}

/** The result of reading: the value if there is no problem. Unknown fields are no problem; they are left out. */
export interface ReadResult<T> {
  readonly value: T | undefined;
  readonly problems: readonly ConfigurationProblem[];
  readonly unknownFields: readonly DocumentPath[];
}

const pathOf = (path: readonly PropertyKey[]): DocumentPath =>
  path.map((step) => (typeof step === 'symbol' ? String(step) : step));

/** Reads a document. Zod reports unknown fields among the problems, so the input is read again without them. */
export const readConfiguration = <S extends z.ZodType>(
  schema: S,
  input: unknown,
): ReadResult<z.output<S>> => {
  const first = schema.safeParse(input);
  if (first.success) return { value: first.data, problems: [], unknownFields: [] };
  const unknownFields = first.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? issue.keys.map((key) => pathOf([...issue.path, key])) : [],
  );
  const problems = first.error.issues
    .filter((issue) => issue.code !== 'unrecognized_keys')
    .map((issue) => ({ path: pathOf(issue.path), must: issue.message }));
  if (problems.length > 0) return { value: undefined, problems, unknownFields };
  const { value, problems: left } = readConfiguration(schema, withoutFields(input, unknownFields));
  return { value, problems: left, unknownFields };
};

/** A copy without these fields; of a list, without the whole list. */
export const withoutFields = (input: unknown, paths: readonly DocumentPath[]): unknown => {
  const copy: unknown = structuredClone(input);
  for (const path of paths) {
    const item = path.findIndex((step) => typeof step === 'number');
    const field = item < 0 ? path : path.slice(0, item);
    const parent = field
      .slice(0, -1)
      .reduce<unknown>((at, step) => (at as Record<string, unknown> | null | undefined)?.[step], copy);
    if (typeof parent === 'object' && parent !== null)
      delete (parent as Record<string, unknown>)[field.at(-1) ?? ''];
  }
  return copy;
};
