/** Which region a create call gets: one name, or a list with groups, in order of preference. */
import { invalidArgument } from "../api/errors.ts";
import { inRegion, regionList } from "./region-groups.ts";
import type { Regions } from "./regions.ts";
import { regionRetired, RETIRED_STATUSES } from "./retired-regions.ts";
import type { World } from "./world.ts";

/**
 * The regions that a list such as `iad,us,any` names
 * (https://fly.io/docs/machines/guides-examples/machine-placement/). A group has no retired ones.
 */
export function expandRegions(regions: Regions, expression: string): string[] {
  const codes = regionList(expression).flatMap((name) =>
    regions.has(name) || regions.successor(name) !== undefined
      ? [name]
      : regions.codes().filter((code) =>
        inRegion(code, name) && regions.successor(code) === undefined
      )
  );
  return [...new Set(codes)];
}

/**
 * The first region of the list that has room.
 *
 * @throws {FlyRefusal} when the list names no region, or what the last of them says.
 */
export function chooseRegion(world: World, expression: string): string {
  let refusal = invalidArgument(`region '${expression}' not found`);
  for (const region of expandRegions(world.regions, expression)) {
    const successor = world.regions.successor(region);
    const full = successor === undefined
      ? world.regions.capacityError(region)
      : regionRetired(region, successor, world.pick(...RETIRED_STATUSES));
    if (full === undefined) return region;
    refusal = full;
  }
  throw refusal;
}
