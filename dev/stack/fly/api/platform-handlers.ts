/** `GET /v1/platform/regions` and `POST /v1/platform/placements` */
import { z } from "zod";
import { expandRegions } from "../world/choose-region.ts";
import { geoRegion } from "../world/region-groups.ts";
import { RETIRED_REGIONS } from "../world/retired-regions.ts";
import { forbidden, invalidArgument } from "./errors.ts";
import { type AdmittedCall, type ApiAnswer, parseBody, read } from "./handler.ts";

/**
 * Needs no token (announced on community.fly.io, topic 24843). Retired regions stay in it; there is no
 * `capacity` any more. The keys are as fly-go reads them; OpenAPI has them in lower case.
 */
export function listRegions({ world }: AdmittedCall): ApiAnswer {
  const codes = new Set([...world.regions.codes(), ...Object.keys(RETIRED_REGIONS)]);
  return read({
    Regions: [...codes].sort().map((code) => ({
      code,
      name: code,
      deprecated: world.regions.successor(code) !== undefined,
      requires_paid_plan: false,
      gateway_available: world.regions.has(code),
      geo_region: geoRegion(code),
      latitude: 0,
      longitude: 0,
    })),
    Nearest: world.regions.codes()[0] ?? "",
  });
}

const placementsSchema = z.looseObject({
  org_slug: z.string().optional(),
  region: z.string().optional(),
  count: z.int().min(0).optional(),
  compute: z.looseObject({}).nullish(),
});

/** How many Machines fit at most into a region with room. Not published. */
const ROOM = 100;

/**
 * Where there is room for how many Machines: fly-go, flaps/flaps_platform.go. A region without room is
 * there with 0, and a quota does not show. Neither is published.
 */
export function placements(call: AdmittedCall): ApiAnswer {
  const { world, access } = call;
  const body = parseBody(call, placementsSchema, "GetPlacementsRequest");
  const { org_slug: organization, count = 0, region = "any" } = body;
  if (!organization) throw invalidArgument("org_slug is required");
  if (!access.reachesOrganization(organization, { write: false })) throw forbidden();
  const wanted = count === 0 ? ROOM : Math.min(count, ROOM);
  return read({
    regions: expandRegions(world.regions, region || "any").map((code) => ({
      region: code,
      count: world.regions.capacityError(code) === undefined ? wanted : 0,
      concurrency: 1,
    })),
  });
}
