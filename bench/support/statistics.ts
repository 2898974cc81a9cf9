/** Statistics of samples. Nothing is rounded here: the caller rounds when it prints. */

/** What a table shows of many samples of one thing. */
export interface Spread {
  samples: number;
  median: number;
  p99: number;
  min: number;
  max: number;
  /** Half of all samples lie between the two. */
  lowerQuartile: number;
  upperQuartile: number;
}

/**
 * The smallest sample that at least `share` (0 to 1) of all samples do not exceed: nearest rank, so
 * that every number printed was seen.
 *
 * @throws RangeError without samples
 */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
  if (value === undefined) throw new RangeError("no samples");
  return value;
}

/** The middle sample, or the mean of the two in the middle. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)];
  const lower = sorted[Math.ceil(middle) - 1];
  if (upper === undefined || lower === undefined) throw new RangeError("no samples");
  return (lower + upper) / 2;
}

export function spread(samples: readonly number[]): Spread {
  return {
    samples: samples.length,
    median: median(samples),
    p99: percentile(samples, 0.99),
    min: percentile(samples, 0),
    max: percentile(samples, 1),
    lowerQuartile: percentile(samples, 0.25),
    upperQuartile: percentile(samples, 0.75),
  };
}
