/** Regions and groups of regions: https://fly.io/docs/reference/regions/ and dynamic-request-routing. */

const US = ["dfw", "ewr", "iad", "lax", "ord", "sjc"];
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  us: US,
  usa: US,
  na: [...US, "yyz"],
  sa: ["gru"],
  eu: ["ams", "arn", "cdg", "fra", "lhr"],
  apac: ["bom", "nrt", "sin", "syd"],
};

/** The part of the world that a region is in; empty where no group has it. */
export function geoRegion(region: string): string {
  return Object.keys(GROUPS).find((group) => group !== "us" && GROUPS[group]?.includes(region)) ??
    "";
}

/** Whether a region is meant by a name such as `iad`, `us` or `any`. */
export function inRegion(region: string, name: string): boolean {
  if (name === "any") return true;
  return Object.hasOwn(GROUPS, name) ? GROUPS[name]?.includes(region) ?? false : region === name;
}

/** `iad,us` as a list, in the order of preference. */
export function regionList(text: string): string[] {
  return text.split(",").map((name) => name.trim().toLowerCase()).filter((name) => name !== "");
}
