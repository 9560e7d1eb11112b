/** A metric. Its name and meaning never change. */
export interface MetricDefinition {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
  /** The upper bounds of a histogram. */
  readonly buckets?: readonly number[];
}
