// The sorts of fields that configuration files have.
import * as z from 'zod';
import { parseDuration } from '../../base/duration.js';
import { parseCidr } from '../../base/ip.js';

export const second = 1e3;
export const minute = 60 * second;
export const hour = 60 * minute;
export const maximumInt32 = 2 ** 31 - 1;

/** As in Go, null (an empty value in YAML) leaves a field at its default. */
export const withDefault = <S extends z.ZodType>(schema: S, fallback: z.core.util.NoUndefined<z.output<S>>) =>
  z.preprocess((value) => value ?? undefined, schema.default(fallback));
export const section = <Shape extends z.core.$ZodLooseShape>(shape: Shape) =>
  z.preprocess((value) => value ?? {}, z.strictObject(shape, { error: 'must be a mapping of fields' }));

export const string = z.string({ error: 'must be a string; put it in quotes' });
export const text = withDefault(string, '');
export const bool = (fallback: boolean) =>
  withDefault(z.boolean({ error: 'must be true or false' }), fallback);

export const int = (minimum: number, maximum: number, fallback: number, zeroMeans = 0) => {
  const allowed =
    maximum === maximumInt32
      ? `must be a whole number of ${minimum} or more`
      : `must be a whole number from ${minimum} to ${maximum}`;
  const whole = z.int({ error: allowed }).min(minimum, { error: allowed }).max(maximum, { error: allowed });
  return withDefault(
    whole.transform((value) => (value === 0 ? zeroMeans : value)),
    fallback,
  );
};

/** A string that a parser accepts; the result is the parsed value. */
export const parsed = <T>(parse: (text: string) => T | undefined, must: string) =>
  string.transform((value, context): T => {
    const result = parse(value);
    if (result !== undefined) return result;
    context.addIssue({ code: 'custom', message: must });
    return z.NEVER;
  });

const durationMust =
  'must be a duration, such as "30s", "1m30s" or "500ms" (or a whole number of nanoseconds)';
/** Milliseconds. If zero means the default, as for most periods, `zeroMeans` is that default. */
export const duration = (fallback: number, zeroMeans = 0) =>
  withDefault(
    z
      .union([z.int().transform((nanoseconds) => nanoseconds / 1e6), parsed(parseDuration, durationMust)], {
        error: durationMust,
      })
      .transform((value) => (value === 0 ? zeroMeans : value)),
    fallback,
  );

export const cidrMust = 'must be a network, such as "10.0.0.0/8" or "fd00::/64"';
export const list = <S extends z.ZodType>(item: S) =>
  withDefault(z.array(item, { error: 'must be a list' }), []);
export const cidrs = list(parsed(parseCidr, cidrMust));

export const oneOf = (allowed: readonly string[]) =>
  withDefault(
    string.refine((value) => value === '' || allowed.includes(value), {
      error: `must be one of ${allowed.join(', ')}`,
    }),
    '',
  );
