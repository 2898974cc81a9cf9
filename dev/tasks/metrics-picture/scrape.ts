/** One scrape of /metrics, as far as the picture shows it. */

export interface Scrape {
  /** Seconds since the first one. */
  at: number;
  /** Finished attempts so far: outcome, code, how many. */
  attempts: { outcome: string; code: string; total: number }[];
  /** Machines now. */
  machines: { status: string; count: number }[];
  /** Successful attempts so far that took at most so many seconds. */
  buckets: { upTo: number; total: number }[];
}

const SAMPLE = /^provision_machine_(\w+)\{(.*)\} (\S+)$/;

/** Reads Prometheus' text format, in the shape that the function writes it. */
export function parseScrape(text: string, at: number): Scrape {
  const scrape: Scrape = { at, attempts: [], machines: [], buckets: [] };
  for (const line of text.split("\n")) {
    const [, name, pairs = "", number] = SAMPLE.exec(line) ?? [];
    const value = Number(number);
    const labels = Object.fromEntries(
      [...pairs.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, text]) => [label, text]),
    );
    const { outcome = "", code = "", status = "", le = "" } = labels;
    if (name === "attempts_total") scrape.attempts.push({ outcome, code, total: value });
    if (name === "machines") scrape.machines.push({ status, count: value });
    if (name === "duration_seconds_bucket" && outcome === "running") {
      scrape.buckets.push({ upTo: Number(le.replace("+Inf", "Infinity")), total: value });
    }
  }
  return scrape;
}

/**
 * The duration in seconds that a share of the machines provisioned between two scrapes stayed
 * below, as Prometheus' `histogram_quantile` reckons it; null when there were none.
 */
export function quantile(share: number, earlier: Scrape, later: Scrape): number | null {
  const counts = later.buckets.map(({ upTo, total }, index) => ({
    upTo,
    count: total - (earlier.buckets[index]?.total ?? 0),
  }));
  const all = counts.at(-1)?.count ?? 0;
  if (all === 0) return null;
  let below = { upTo: 0, count: 0 };
  for (const bucket of counts) {
    if (bucket.count >= share * all) {
      if (bucket.upTo === Infinity) return below.upTo;
      const inside = (share * all - below.count) / Math.max(1, bucket.count - below.count);
      return below.upTo + (bucket.upTo - below.upTo) * inside;
    }
    below = bucket;
  }
  return null;
}
