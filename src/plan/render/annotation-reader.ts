import { parseDuration } from '../../base/duration.js';
import { quote } from '../../base/text.js';
import {
  annotationField,
  type ServiceAnnotationName,
  type ServiceAnnotations,
} from '../../model/settings/service-annotations.js';
import type { ValueSyntax } from '../../model/settings/service-settings.js';

/** Reports a problem of a field. */
export type ReportProblem = (reason: string, field: string, message: string) => void;

/** How an annotation is read. */
export interface AnnotationSyntax<T> extends ValueSyntax<T> {
  /** The reason of the Event about another value. */
  readonly reason: string;
  /** What applies without any valid value, as `rr is used`. */
  readonly otherwise: string;
}

/** A duration of 0 or more, in milliseconds. */
export const durationSyntax = (reason: string, otherwise: string): AnnotationSyntax<number> => ({
  reason,
  expected: 'a duration, such as 90s or 1h30m',
  parse: (text) => {
    const milliseconds = parseDuration(text);
    return milliseconds === undefined || milliseconds < 0 ? undefined : milliseconds;
  },
  otherwise,
});

/**
 * Reads the annotations of one Service. Of an annotation whose value is not valid, the last valid value stays
 * in force, and a problem is reported.
 */
export class AnnotationReader {
  readonly #valid: Partial<Record<ServiceAnnotationName, string>> = {};
  #allValid = true;

  constructor(
    private readonly annotations: ServiceAnnotations,
    private readonly lastValid: ServiceAnnotations,
    readonly report: ReportProblem,
  ) {}

  /** Undefined if the annotation is absent, or never had a valid value. */
  read<T>(name: ServiceAnnotationName, syntax: AnnotationSyntax<T>): T | undefined {
    const text = this.annotations[name];
    if (text === undefined) return undefined;
    const value = syntax.parse(text.trim());
    if (value !== undefined) {
      this.#valid[name] = text;
      return value;
    }
    this.#allValid = false;
    return this.#readLast(name, text, syntax);
  }

  #readLast<T>(name: ServiceAnnotationName, text: string, syntax: AnnotationSyntax<T>): T | undefined {
    const last = this.lastValid[name];
    const value = last === undefined ? undefined : syntax.parse(last.trim());
    if (last !== undefined && value !== undefined) this.#valid[name] = last;
    const inForce =
      last === undefined || value === undefined
        ? `${syntax.otherwise} instead`
        : `the last valid value, ${quote(last)}, stays in force`;
    this.report(
      syntax.reason,
      annotationField(name),
      `${quote(text)} is not valid (expected ${syntax.expected}); ${inForce}`,
    );
    return value;
  }

  /** The values in force, as they were written. */
  get valid(): ServiceAnnotations {
    return this.#allValid ? this.annotations : this.#valid;
  }
}
