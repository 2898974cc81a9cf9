/**
 * What a list of Fly.io shows of the warm pool: which machines stand by as they should and can be
 * taken from now on, and which are of no use. Finding that costs no call.
 */
import type { DiscardedMachine, PooledMachine, Standby } from "../database/pool.ts";
import type { Found, Hosting } from "../hosting/hosting.ts";
import type { ReconcileContext } from "./context.ts";

/** A machine does not leave these by itself. */
const LASTING = ["started", "stopped", "suspended", "failed"];
/**
 * Documented: a machine made with `skip_launch` stays `created`. Seen: it turns `stopped` once its
 * image is there, and refuses to start before that.
 */
const CREATED_FOR_GOOD_MS = 5 * 60_000;

/** An entry of the pool, and its machine as the list shows it. */
export interface StandingBy {
  found: Found;
  entry: PooledMachine;
}

export async function followPool(
  context: ReconcileContext,
  { claim }: Hosting,
  { pooled, complete }: { pooled: readonly StandingBy[]; complete: boolean },
): Promise<void> {
  const { pool, runtime, settings, deadline, report } = context;
  const [createBucket] = claim.buckets;
  if (!claim.ownApp || createBucket === undefined) return;
  const present: string[] = [];
  const listed: string[] = [];
  for (const { found, entry } of pooled) {
    // One that is still being made has no id yet: its maker says when all of it is there.
    const known = entry.fly_machine_id !== null && entry.fly_machine_id === found.flyMachineId;
    if (!known || entry.state === "discarded") continue;
    listed.push(entry.id);
    const ageMs = runtime.clock.now() - Date.parse(found.createdAt ?? "");
    if (standsBy(found, entry.standby, ageMs)) present.push(entry.id);
    else if (LASTING.includes(found.state)) {
      const reason = `it is ${found.state} at Fly.io`;
      const { machine_id, fly_machine_id } = entry;
      if (!await pool.discard(entry.id, reason, deadline)) continue;
      reportDiscarded(context, [{ machine_id, fly_machine_id, discard_reason: reason }]);
    }
  }
  // Without a pool this costs nothing; one that has just been switched off is being destroyed.
  if (pooled.length === 0 && (settings.POOL_SIZE ?? 0) === 0) return;
  const seen = { createBucket, present, listed, complete };
  reportDiscarded({ report }, await pool.note(seen, deadline));
}

function standsBy({ state }: Found, standby: Standby, ageMs: number): boolean {
  return state === standby ||
    (state === "created" && standby === "stopped" && ageMs >= CREATED_FOR_GOOD_MS);
}

export function reportDiscarded(
  { report }: Pick<ReconcileContext, "report">,
  discarded: readonly DiscardedMachine[],
): void {
  for (const { machine_id, fly_machine_id, discard_reason: reason } of discarded) {
    report.add({
      action: "poolDiscarded",
      machineId: machine_id,
      flyMachineId: fly_machine_id,
      reason,
    });
  }
}
