/** Fly.io's regions by name. https://fly.io/docs/reference/regions/ */
import type { FLY_REGIONS } from "../../supabase/functions/provision-machine/config/environment.ts";

type Region = (typeof FLY_REGIONS)[number];

/** Regions that take no new machines, for those that are still there. */
const RETIRED: Record<string, string> = { bom: "Mumbai" };

const NAMES: Record<Region, string> = {
  ams: "Amsterdam",
  arn: "Stockholm",
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
  const name = new Map(Object.entries({ ...NAMES, ...RETIRED })).get(code);
  return name === undefined ? code : `${name} (${code})`;
}
