/** The samples that a chart shows: two minutes. */
export const historyLength = 60;

/** The last values of something, by the number of the sample. */
export interface History {
  readonly values: Float32Array;
  /** The sample of the last value. */
  at: number;
}

export const newHistory = (sample: number): History => ({
  values: new Float32Array(historyLength),
  at: sample - 1,
});

/** Records a value; the samples since the last one had the last value. */
export const record = (history: History, sample: number, value: number): void => {
  const last = history.values[history.at % historyLength] ?? 0;
  for (let at = Math.max(history.at + 1, sample - historyLength); at < sample; at += 1)
    history.values[at % historyLength] = last;
  history.values[sample % historyLength] = value;
  history.at = sample;
};

/** The values up to a sample, the oldest first; fewer where there were fewer samples. The first sample is 0. */
export const seriesOf = ({ values, at }: History, sample: number): readonly number[] => {
  const length = Math.max(0, Math.min(historyLength, sample + 1));
  return Array.from({ length }, (_, index) => {
    const wanted = sample - length + 1 + index;
    return values[Math.max(0, Math.min(wanted, at)) % historyLength] ?? 0;
  });
};
