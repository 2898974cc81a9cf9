/** Fly.io's regions by name. https://fly.io/docs/reference/regions/ */
import type { FLY_REGIONS } from "../../supabase/functions/provision-machine/config/environment.ts";

type Region = (typeof FLY_REGIONS)[number];

const NAMES: Record<Region, string> = {
  ams: "Amsterdam",
  arn: "Stockholm",
  bom: "Mumbai",
  cdg: "Paris",
  dfw: "Dallas",
  ewr: "Secaucus, New Jersey",
  fra: "Frankfurt",
  gru: "São Paulo",
  iad: "Ashburn, Virginia",
  jnb: "Johannesburg",
  lax: "Los Angeles",
  lhr: "London",
  nrt: "Tokyo",
  ord: "Chicago",
  sin: "Singapore",
  sjc: "San Jose, California",
  syd: "Sydney",
  yyz: "Toronto",
};

export const REGIONS = Object.keys(NAMES);

/** `Frankfurt (fra)`; the bare code for a region that is not known here. */
export function regionName(code: string): string {
  const name = Object.hasOwn(NAMES, code) ? NAMES[code as Region] : undefined;
  return name === undefined ? code : `${name} (${code})`;
}
