/**
 * Where Fly.io has room. `capacity` of its list of regions was wrong and is gone; this is what flyctl
 * asks instead. https://docs.machines.dev/, fly-go, flaps/flaps_platform.go
 */
import { z } from "zod/v3";
import type { FlyClient } from "./client.ts";
import type { CallOptions, CreateMachineBody } from "./machines.ts";

const Placements = z.object({
  regions: z.array(z.object({ region: z.string(), count: z.number() })),
});

/** How many machines of this size each region has room for, of one that is asked for. */
export async function askPlacements(
  fly: FlyClient,
  { orgSlug, guest }: { orgSlug: string; guest: CreateMachineBody["config"]["guest"] },
  options: CallOptions,
): Promise<{ region: string; count: number }[]> {
  const { data } = await fly.request({
    method: "POST",
    path: "/platform/placements",
    body: { org_slug: orgSlug, compute: guest, region: "any", count: 1 },
    schema: Placements,
    ...options,
  });
  return data.regions;
}
