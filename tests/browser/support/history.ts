/** A past for the operator's charts: real attempts on the stack, whose times are then moved apart. */
import { seededRandom } from "../../../dev/stack/fly/mod.ts";
import type { Stack } from "../../support/stack.ts";

const ATTEMPTS = 70;
const SPREAD_MINUTES = 58;
const REGIONS = ["fra", "iad", "nrt", "syd", "gru"];
const FAULTS = [
  { status: 422, body: { error: "insufficient resources to create new machine" } },
  { status: 503, body: { error: "service unavailable" } },
  { status: 401, body: { error: "unauthorized" } },
];

/** Provisions machine after machine, some with faults; takes some seconds. */
export async function fillHistory(stack: Stack, attempts = ATTEMPTS): Promise<void> {
  const random = seededRandom(7);
  const pick = <T>(items: readonly T[]) => items[Math.floor(random() ** 1.3 * items.length)];
  for (let attempt = 0; attempt < attempts; attempt++) {
    const fails = random() < (attempt > attempts * 0.6 && attempt < attempts * 0.75 ? 0.45 : 0.06);
    const { status = 500, body } = (fails && pick(FAULTS)) || {};
    stack.simulator.clearFaults();
    if (fails) {
      stack.simulator.addFault({
        match: { action: "create" },
        times: "always",
        do: { kind: "status", status, body },
      });
    } else {
      stack.simulator.addFault({
        match: { action: "create" },
        do: { kind: "slow-start", ms: 20 + Math.round(random() ** 4 * 900) },
      });
    }
    // The limit is one machine per user.
    const user = await stack.supabase.createUser();
    await stack.call(user, { body: { region: pick(REGIONS) } });
  }
  stack.simulator.clearFaults();
  await spread(stack);
  // The health page says when it last ran.
  await stack.reconcile();
}

/** The table is append-only; its times are changed only here. */
async function spread(stack: Stack): Promise<void> {
  const { supabase } = stack;
  await supabase.sql("alter table machine_events disable trigger user");
  await supabase.sql(
    `with placed as (
       select cloud_machine_id, row_number() over (order by min(id)) as place, count(*) over () as n
       from machine_events group by cloud_machine_id
     )
     update machine_events e
     set created_at = e.created_at - make_interval(mins => ($1 * (n - place) / n)::integer)
     from placed where placed.cloud_machine_id = e.cloud_machine_id`,
    [SPREAD_MINUTES],
  );
  await supabase.sql("alter table machine_events enable trigger user");
}
