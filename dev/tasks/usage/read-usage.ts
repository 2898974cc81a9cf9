/** Reads the view machine_usage and adds it up by user. */
import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import type { UserUsage } from "./format.ts";

/** PostgREST gives no more rows at a time, unless a project has changed its `max_rows`. */
const PAGE = 1_000;

const Row = z.object({
  user_id: z.nullable(z.string()),
  machine_id: z.string(),
  running_seconds: z.nullable(z.number()),
  stopped_seconds: z.nullable(z.number()),
});

/**
 * @param month such as `2026-11`
 * @throws {Error} when the view cannot be read
 */
export async function readUsage(supabase: SupabaseClient, month: string): Promise<UserUsage[]> {
  const users = new Map<string, UserUsage & { names: Set<string> }>();
  for (let from = 0;; from += PAGE) {
    const { data, error } = await supabase.from("machine_usage").select("*")
      .gte("day", `${month}-01`).lt("day", `${nextMonth(month)}-01`)
      .order("machine_id").order("day")
      .range(from, from + PAGE - 1);
    if (error) throw new Error(error.message);
    for (const row of z.array(Row).parse(data)) {
      const userId = row.user_id ?? "(deleted)";
      const user = users.get(userId) ??
        { userId, machines: 0, runningSeconds: 0, stoppedSeconds: 0, names: new Set<string>() };
      user.names.add(row.machine_id);
      user.machines = user.names.size;
      user.runningSeconds += row.running_seconds ?? 0;
      user.stoppedSeconds += row.stopped_seconds ?? 0;
      users.set(userId, user);
    }
    if (data.length < PAGE) break;
  }
  return [...users.values()].map(({ names: _, ...user }) => user)
    .sort((a, b) => b.runningSeconds - a.runningSeconds);
}

function nextMonth(month: string): string {
  const [year = 0, number = 0] = month.split("-").map(Number);
  return number === 12 ? `${year + 1}-01` : `${year}-${String(number + 1).padStart(2, "0")}`;
}
