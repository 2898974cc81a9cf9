/** The warm pool in one figure. */
import type { Tone } from "../page/tone.ts";
import { percent } from "./percent.ts";
import { gauge, type Sample, sumBy } from "./prometheus.ts";

export interface PoolFigure {
  text: string;
  tone: Tone;
  detail: string;
}

/** Null where there is to be no pool. */
export function poolFigure(samples: Sample[]): PoolFigure | null {
  const wanted = gauge(samples, "provision_machine_pool_wanted") ?? 0;
  if (wanted === 0) return null;
  const states = sumBy(samples, "provision_machine_pool_machines", "state");
  const ready = states.get("ready") ?? 0;
  const claims = sumBy(samples, "provision_machine_pool_claims_total", "outcome");
  const hits = claims.get("hit") ?? 0;
  const all = hits + (claims.get("miss") ?? 0);
  return {
    text: String(ready),
    // As the health check pool:ready has it.
    tone: ready * 2 >= wanted ? "good" : "warning",
    detail: `of ${wanted}${all > 0 ? `, ${percent(hits / all)} hits` : ""}`,
  };
}
