/**
 * Asks Fly.io once a run where there is room, so that no user's request finds out by being refused. Only
 * what is said counts: a region that the answer lacks is neither full nor known to have room.
 */
import type { Observations } from "../database/observations.ts";
import { askPlacements } from "../fly/placements.ts";
import { GUESTS } from "../provision/machine-config.ts";
import type { ReconcileContext } from "./context.ts";

/** Three runs: without an answer nothing is known any more. */
const BELIEVED_MS = 3 * 60_000;

export async function watchRegions(
  observations: Observations,
  { fly, settings, deadline }: ReconcileContext,
): Promise<void> {
  const { FLY_ORG_SLUG: orgSlug } = settings;
  // The question is about an organisation.
  if (orgSlug === undefined) return;
  const placements = await askPlacements(fly, { orgSlug, guest: GUESTS.normal }, { deadline });
  const namesOf = (hasRoom: boolean) =>
    placements.filter(({ count }) => (count > 0) === hasRoom).map(({ region }) => region);
  const regions = { full: namesOf(false), withRoom: namesOf(true) };
  await observations.noteRegions(regions, BELIEVED_MS, deadline);
}
