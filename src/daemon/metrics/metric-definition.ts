/** One metric: its name never changes its meaning. */
export interface MetricDefinition {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
  /** Upper bounds, of a histogram. */
  readonly buckets?: readonly number[];
}
