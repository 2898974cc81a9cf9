/** GET /metrics: what it counts, that counters never go down, and that Prometheus can read it. */
import assert from "node:assert/strict";
import type { FlyFault } from "../../dev/stack/fly/mod.ts";
import { counters, nonZero, type Scrape, scrape } from "../support/exposition.ts";
import { promtool, promtoolTest } from "../support/promtool.ts";
import { FLY_APP, type Stack, startStack } from "../support/stack.ts";

const PREFIX = "provision_machine";
const REGIONS = "iad,fra";

const failWith = (status: number, error: string): FlyFault => ({
  kind: "status",
  status,
  body: { error },
});

async function provision(stack: Stack, region: string, effect?: FlyFault): Promise<void> {
  if (effect) stack.simulator.addFault({ match: { action: "create", region }, do: effect });
  const answer = await stack.call(await stack.supabase.createUser(), { body: { region } });
  assert.equal(answer.status, effect ? 500 : 200, JSON.stringify(answer.body));
}

/** A request that died: its row is due. Returns the row's `machine_id`. */
async function leaveBehind(stack: Stack, machineId: string): Promise<void> {
  const user = await stack.supabase.createUser();
  await stack.supabase.sql(
    `insert into cloud_machines (user_id, machine_id, fly_app_name, region, cpu_priority,
       request_hash, request_id, deadline_at, reconcile_at, created_at)
     values ($1, $2, $3, 'fra', 'low', 'hash', 'request-that-died', now() - interval '1 minute',
       now() - interval '1 minute', now() - interval '200 seconds')`,
    [user.id, machineId, FLY_APP],
  );
}

function valueOf({ samples }: Scrape, name: string): number {
  const value = samples.get(`${PREFIX}_${name}`);
  assert.ok(value !== undefined, `there is no ${name}`);
  return value;
}

Deno.test("metrics", async (t) => {
  await using stack = await startStack({ env: { FLY_REGIONS: REGIONS } });
  const { sql } = stack.supabase;

  await t.step("are for services alone", async () => {
    const user = await stack.supabase.createUser();
    const asUser = await stack.call(user, { method: "GET", path: "/metrics" });
    assert.deepEqual([asUser.status, asUser.body.code], [403, "forbidden"]);
    const unauthenticated = await stack.call(null, { method: "GET", path: "/metrics" });
    assert.deepEqual([unauthenticated.status, unauthenticated.body.code], [
      401,
      "unauthorized",
    ]);
    for (const headers of [{ apikey: stack.supabase.secretKey }, bearer(stack)]) {
      const response = await fetch(`${stack.url}/metrics`, { headers });
      assert.equal(response.status, 200);
      assert.equal(
        response.headers.get("content-type"),
        "text/plain; version=0.0.4; charset=utf-8",
      );
      await response.body?.cancel();
    }
  });

  await t.step("exist before anything has happened", async () => {
    const first = await scrape(stack);
    assert.deepEqual(nonZero(first, `${PREFIX}_attempts_total`), {});
    // Otherwise Prometheus would not see the very first failure as an increase.
    assert.equal(valueOf(first, 'duration_seconds_count{outcome="error"}'), 0);
    assert.equal(valueOf(first, 'alerts_sent_total{event="firing",kind="failures"}'), 0);
    assert.equal(valueOf(first, "reconcile_last_run_timestamp_seconds"), 0);
    assert.equal(valueOf(first, "oldest_provisioning_seconds"), 0);
    assert.equal(valueOf(first, "oldest_cleanup_seconds"), 0);
  });

  await t.step("attempts by outcome, code and region; machines by status", async () => {
    await provision(stack, "iad");
    await provision(stack, "iad");
    await provision(stack, "fra");
    await provision(stack, "iad", failWith(422, "invalid image"));
    await provision(stack, "fra", failWith(422, "invalid image"));
    await provision(stack, "fra", failWith(401, "unauthorized"));
    const after = await scrape(stack);
    assert.deepEqual(nonZero(after, `${PREFIX}_attempts_total`), {
      '{code="",outcome="running",region="iad"}': 2,
      '{code="",outcome="running",region="fra"}': 1,
      '{code="fly_rejected",outcome="error",region="iad"}': 1,
      '{code="fly_rejected",outcome="error",region="fra"}': 1,
      '{code="fly_unauthorized",outcome="error",region="fra"}': 1,
    });
    assert.deepEqual(nonZero(after, `${PREFIX}_machines`), {
      '{region="iad",status="running"}': 2,
      '{region="fra",status="running"}': 1,
      '{region="iad",status="error"}': 1,
      '{region="fra",status="error"}': 2,
    });
  });

  await t.step("durations as a histogram that agrees with the events", async () => {
    const { samples } = await scrape(stack);
    for (const outcome of ["running", "error"]) {
      const events = await sql<{ duration_ms: number }>(
        "select duration_ms from machine_events where kind = $1",
        [outcome === "running" ? "running" : "failed"],
      );
      const label = `{outcome="${outcome}"}`;
      assert.equal(samples.get(`${PREFIX}_duration_seconds_count${label}`), events.length);
      const sumMs = events.reduce((sum, event) => sum + event.duration_ms, 0);
      assert.equal(samples.get(`${PREFIX}_duration_seconds_sum${label}`), sumMs / 1_000);
      let bounds = 0;
      for (const [key, value] of samples) {
        const [, le] = /_bucket\{le="(.+)",outcome="(?:running|error)"\}$/.exec(key) ?? [];
        if (le === undefined || !key.includes(`outcome="${outcome}"`)) continue;
        bounds++;
        const bound = Number(le.replace("+Inf", "Infinity")) * 1_000;
        const within = events.filter((event) => event.duration_ms <= bound).length;
        assert.equal(value, within, key);
      }
      assert.equal(bounds, 13);
    }
  });

  await t.step(
    "a duration on the bound of a bucket is in it, a millisecond more is not",
    async () => {
      await sql(
        "select add_to_durations('bounds', ms) from unnest(array[0, 500, 501, 150000, 150001]) ms",
      );
      const { samples } = await scrape(stack);
      const upTo = (le: string) =>
        samples.get(`${PREFIX}_duration_seconds_bucket{le="${le}",outcome="bounds"}`);
      assert.deepEqual([upTo("0.5"), upTo("1"), upTo("120"), upTo("150"), upTo("+Inf")], [
        2,
        3,
        3,
        4,
        5,
      ]);
      await sql("delete from metric_durations where outcome = 'bounds'");
    },
  );

  await t.step("how many rows wait, and for how long", async () => {
    await leaveBehind(stack, "machine-left-behind");
    const before = await scrape(stack);
    assert.ok(valueOf(before, "oldest_provisioning_seconds") >= 200);
    assert.equal(valueOf(before, "due_rows"), 1);
    assert.equal(valueOf(before, "oldest_cleanup_seconds"), 0);

    // A closed row whose machine is not confirmed gone is taken again and again.
    await sql(
      `update cloud_machines set status = 'error', error_code = 'fly_unavailable', error_message = '-',
         deadline_at = now() - interval '500 seconds', reconcile_at = now() + interval '1 minute'
       where machine_id = 'machine-left-behind'`,
    );
    const after = await scrape(stack);
    assert.equal(valueOf(after, "due_rows"), 0);
    assert.ok(valueOf(after, "oldest_cleanup_seconds") >= 500);
    assert.equal(valueOf(after, "oldest_provisioning_seconds"), 0);
  });

  await t.step("reconcile's actions and its last run", async () => {
    await leaveBehind(stack, "machine-of-a-dead-request");
    const startedAt = Date.now() / 1_000;
    assert.equal((await stack.reconcile()).body.interrupted, 1);
    const after = await scrape(stack);
    assert.deepEqual(nonZero(after, `${PREFIX}_reconcile_actions_total`), {
      '{action="interrupted"}': 1,
    });
    assert.equal(
      after.samples.get(
        `${PREFIX}_attempts_total{code="interrupted",outcome="error",region="fra"}`,
      ),
      1,
    );
    assert.ok(valueOf(after, "reconcile_last_run_timestamp_seconds") >= startedAt - 1);
  });

  await t.step("counters do not go down when history is deleted", async () => {
    const before = await scrape(stack);
    await sql("alter table machine_events disable trigger machine_events_are_append_only");
    await sql("update machine_events set created_at = created_at - interval '91 days'");
    await sql("update reconcile_runs set created_at = created_at - interval '91 days'");
    await sql("alter table machine_events enable trigger machine_events_are_append_only");
    const [pruned] = await sql<{ n: number }>("select prune_history() as n");
    assert.ok(pruned && pruned.n > 0);
    assert.deepEqual(await sql("select id from machine_events"), []);
    assert.deepEqual(await sql("select id from reconcile_runs"), []);
    await sql("delete from cloud_machines where machine_id = 'machine-left-behind'");

    const after = await scrape(stack);
    assert.deepEqual(counters(after), counters(before));
    const machines = nonZero(after, `${PREFIX}_machines`);
    const rows = await sql<{ status: string; region: string; n: number }>(
      "select status, region, count(*)::int as n from cloud_machines group by status, region",
    );
    assert.deepEqual(
      machines,
      Object.fromEntries(
        rows.map(({ status, region, n }) => [`{region="${region}",status="${status}"}`, n]),
      ),
    );
  });

  await t.step("retention keeps newer rows, and deletes in steps", async () => {
    await provision(stack, "iad");
    const [{ n: fresh } = { n: 0 }] = await sql<{ n: number }>(
      "select count(*)::int as n from machine_events",
    );
    await sql(
      `insert into machine_events (request_id, kind, created_at)
       select 'old', 'claimed', now() - interval '100 days' from generate_series(1, 5)`,
    );
    const prune = async () =>
      (await sql<{ n: number }>("select prune_history(90, 3) as n")).map(({ n }) => n);
    assert.deepEqual([...await prune(), ...await prune(), ...await prune()], [3, 2, 0]);
    assert.deepEqual(await sql("select count(*)::int as n from machine_events"), [{ n: fresh }]);
  });

  await t.step(
    "without the database there is an error, and no metrics that look like zero",
    async () => {
      stack.supabase.setOutage({ services: ["rest"] });
      const answer = await stack.callAsService({ method: "GET", path: "/metrics" });
      stack.supabase.setOutage(false);
      assert.deepEqual([answer.status, answer.body.code], [500, "database_error"]);
      await stack.fn.failure(answer.requestId);
    },
  );
});

promtoolTest("promtool takes the metrics, whatever a label says", async () => {
  await using stack = await startStack({ env: { FLY_REGIONS: REGIONS } });
  await provision(stack, "iad");
  await provision(stack, "iad", failWith(422, "invalid image"));
  const odd = 'a "quoted" \\ region,\nwith {braces} = é';
  await stack.supabase.sql(
    "select add_to_metric('attempts', jsonb_build_object('outcome', 'error', 'code', '', 'region', $1::text))",
    [odd],
  );
  const { text } = await scrape(stack);
  assert.match(text, /region="a \\"quoted\\" \\\\ region,\\nwith \{braces\} = é"/);
  const { success, output } = await promtool(["check", "metrics"], text);
  assert.deepEqual({ success, output }, { success: true, output: "" });

  const broken = text.replace('outcome="running"} ', 'outcome="running} ');
  assert.notEqual(broken, text);
  assert.equal((await promtool(["check", "metrics"], broken)).success, false);
});

function bearer(stack: Stack): Record<string, string> {
  return { authorization: `Bearer ${stack.supabase.serviceRoleKey}` };
}
