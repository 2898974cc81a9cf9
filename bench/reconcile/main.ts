/**
 * What a run of reconcile costs the function over many machines, on the local stack: processor time and
 * memory of its process, under the hosted runtime's Deno. Supabase ends an isolate that uses 2 s of
 * processor time, and warns at half of it; it has 256 MB.
 * https://supabase.com/docs/guides/functions/limits
 *
 * `deno task bench:reconcile [--machines N] [--runs N] [--deno VERSION]`
 */
import { parseArgs } from "node:util";
import { denoFromNpm, HOSTED_DENO_VERSION } from "../../dev/stack/function/mod.ts";
import { DEFAULT_TOKEN, FlySimulator, serveFlySimulator } from "../../dev/stack/fly/mod.ts";
import { type LocalSupabase, startSupabase } from "../../dev/stack/supabase/mod.ts";
import { circumstances, type Goal, printTable, progress, report } from "../support/report.ts";
import { ServerProcess } from "../support/server-process.ts";
import { median } from "../support/statistics.ts";

const ENTRY = new URL("../../supabase/functions/provision-machine/index.ts", import.meta.url);
const GOALS = { cpuMs: 500, residentMiB: 128 };
const APP = "bench-app";
const HOSTINGS = ["shared app", "own apps"] as const;
type HostingName = (typeof HOSTINGS)[number];

interface Run {
  cpuMs: number;
  ms: number;
  residentBytes: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      machines: { type: "string", default: "10000" },
      runs: { type: "string", default: "5" },
      deno: { type: "string", default: HOSTED_DENO_VERSION },
    },
  });
  const machines = Number(values.machines);
  const found = { circumstances: circumstances(values.deno) };
  const deno = await denoFromNpm(values.deno);
  const rows: Record<string, string | number>[] = [];
  const goals: Goal[] = [];
  for (const hosting of HOSTINGS) {
    progress(`${hosting}: making ${machines} machines`);
    const { idle, runs, calls } = await measure(hosting, {
      machines,
      runs: Number(values.runs),
      deno,
    });
    const cpuMs = median(runs.map((run) => run.cpuMs));
    const residentMiB = Math.max(...runs.map((run) => run.residentBytes)) / 2 ** 20;
    rows.push({
      hosting,
      machines,
      "CPU of the first run (ms)": runs[0]?.cpuMs ?? 0,
      "CPU of a run, median (ms)": cpuMs,
      "time of a run, median (ms)": Math.round(median(runs.map((run) => run.ms))),
      "resident (MiB)": Math.round(residentMiB),
      "resident before (MiB)": Math.round(idle / 2 ** 20),
      "calls to Fly.io": calls,
    });
    goals.push(
      {
        goal: `${hosting}: under ${GOALS.cpuMs} ms of CPU per run`,
        measured: `${cpuMs} ms`,
        met: cpuMs < GOALS.cpuMs,
      },
      {
        goal: `${hosting}: under ${GOALS.residentMiB} MiB resident`,
        measured: `${Math.round(residentMiB)} MiB`,
        met: residentMiB < GOALS.residentMiB,
      },
    );
  }
  printTable("A quiet run of reconcile", rows);
  await report("reconcile", { ...found, rows, goals });
}

async function measure(
  hosting: HostingName,
  { machines, runs: count, deno }: { machines: number; runs: number; deno: string },
): Promise<{ idle: number; runs: Run[]; calls: number }> {
  const supabase = await startSupabase();
  const simulator = new FlySimulator({
    apps: [APP],
    settings: { rateLimits: null, startDelayMs: 0, newAppDelayMs: 0, organizationListDelayMs: 0 },
  });
  const fly = await serveFlySimulator(simulator);
  try {
    await makeMachines(supabase, simulator, hosting, machines);
    await using server = await ServerProcess.start({
      entry: ENTRY,
      deno,
      env: {
        SUPABASE_URL: supabase.url,
        SUPABASE_SECRET_KEYS: JSON.stringify({ default: supabase.secretKey }),
        FLY_API_TOKEN: DEFAULT_TOKEN,
        FLY_API_HOSTNAME: fly.url,
        FLY_APP_NAME: APP,
        DOCKER_IMAGE: "registry.fly.io/bench-app:1",
        ...(hosting === "own apps" ? { FLY_ORG_SLUG: "personal" } : {}),
      },
    });
    const reconcile = async () => {
      const response = await fetch(`${server.url}/provision-machine/reconcile`, {
        method: "POST",
        headers: { apikey: supabase.secretKey },
      });
      const body = await response.json();
      const { requestId: _, actions, alertsSent: _sent, ...counts } = body;
      const done = Object.values(counts).some((n) => n !== 0);
      if (response.status !== 200 || done) {
        throw new Error(
          `not a quiet run: ${JSON.stringify(counts)} ${JSON.stringify(actions?.[0])}`,
        );
      }
    };
    const idle = await server.residentBytes();
    const runs: Run[] = [];
    let calls = 0;
    for (let n = 0; n < count; n++) {
      simulator.clearRequests();
      const [cpuBefore, startedAt] = [await server.cpuMs(), performance.now()];
      await reconcile();
      runs.push({
        ms: performance.now() - startedAt,
        cpuMs: await server.cpuMs() - cpuBefore,
        residentBytes: await server.residentBytes(),
      });
      calls = simulator.requests().length;
    }
    return { idle, runs, calls };
  } finally {
    await fly.shutdown();
    await supabase.close();
  }
}

/** Running machines with their rows, an hour old. */
async function makeMachines(
  supabase: LocalSupabase,
  simulator: FlySimulator,
  hosting: HostingName,
  count: number,
): Promise<void> {
  const [installation] = await supabase.sql<{ tag: string }>("select tag from installation");
  const user = await supabase.createUser();
  const post = async (path: string, body: unknown): Promise<{ id: string }> => {
    const response = await simulator.fetch(
      new Request(`https://api.machines.dev/v1${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${DEFAULT_TOKEN}` },
        body: JSON.stringify(body),
      }),
    );
    if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
    return await response.json();
  };
  const made: Record<string, string>[] = [];
  for (let n = 0; n < count; n++) {
    const name = `${hosting === "own apps" ? APP : "machine"}-${installation?.tag}-${
      String(n).padStart(14, "0")
    }`;
    const app = hosting === "own apps" ? name : APP;
    if (app === name) {
      await post("/apps", { app_name: name, org_slug: "personal", network: name });
    }
    const { id } = await post(`/apps/${app}/machines`, {
      name,
      region: "iad",
      config: { image: "registry.fly.io/bench-app:1", env: { USER_ID: user.id, MACHINE_ID: name } },
    });
    made.push({ name, app, id });
  }
  for (let first = 0; first < made.length; first += 1_000) {
    await supabase.sql(
      `insert into cloud_machines (user_id, machine_id, fly_machine_id, fly_app_name, create_bucket,
         region, cpu_priority, status, websocket_url, request_hash, request_id, deadline_at,
         provisioned_at, created_at)
       select $1, m ->> 'name', m ->> 'id', m ->> 'app', $3, 'iad', 'normal', 'running',
         'wss://example.com', '', 'r', now() - interval '1 hour', now() - interval '1 hour',
         now() - interval '1 hour'
       from jsonb_array_elements($2::jsonb) m`,
      [
        user.id,
        JSON.stringify(made.slice(first, first + 1_000)),
        hosting === "own apps" ? "org:personal" : APP,
      ],
    );
  }
}

await main();
