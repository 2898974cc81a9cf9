/**
 * How long a caller waits whose request starts a new isolate: from the start of the process to the
 * first answer, against an empty function and one that only imports supabase-js.
 *
 * `deno task bench:cold-start [--rounds N] [--deno VERSION]`
 */
import { parseArgs } from "node:util";
import { startUpstreams, type Upstreams } from "../support/environment.ts";
import { circumstances, type Goal, printTable, progress, report } from "../support/report.ts";
import { denoFromNpm, HOSTED_DENO_VERSION } from "../../dev/stack/function/mod.ts";
import { ServerProcess } from "../support/server-process.ts";
import { median, type Spread, spread } from "../support/statistics.ts";

const GOAL = 1.25;

interface Variant {
  name: string;
  entry: URL;
  request: (upstreams: Upstreams) => RequestInit;
  status: number;
}

const EMPTY = "(a) an empty Deno.serve";
const SUPABASE_JS = "(b) imports supabase-js";
const OURS = "ours, answers 401";
const FUNCTION = new URL("../../supabase/functions/provision-machine/index.ts", import.meta.url);
const stranger = () => ({ method: "POST" });
/** What a browser sends before a POST to another origin. */
const preflight = () => ({
  method: "OPTIONS",
  headers: { origin: "https://app.example.com", "access-control-request-method": "POST" },
});
const user = ({ tokens: [token] }: Upstreams) => ({
  method: "POST",
  headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
  body: JSON.stringify({ cpuPriority: "low" }),
});

const VARIANTS: Variant[] = [
  {
    name: EMPTY,
    entry: new URL("./empty.ts", import.meta.url),
    request: stranger,
    status: 401,
  },
  {
    name: SUPABASE_JS,
    entry: new URL("./only-supabase-js.ts", import.meta.url),
    request: stranger,
    status: 401,
  },
  { name: OURS, entry: FUNCTION, request: stranger, status: 401 },
  { name: "ours, answers a preflight", entry: FUNCTION, request: preflight, status: 204 },
  {
    name: "floor, provisions",
    entry: new URL("../requests/floor.ts", import.meta.url),
    request: user,
    status: 200,
  },
  {
    name: "naive, provisions",
    entry: new URL("../requests/naive.ts", import.meta.url),
    request: user,
    status: 200,
  },
  { name: "ours, provisions", entry: FUNCTION, request: user, status: 200 },
];

/** Milliseconds from the start of a process to its first answer. */
async function firstAnswerMs(
  variant: Variant,
  upstreams: Upstreams,
  deno: string,
): Promise<number> {
  const startedAt = performance.now();
  await using server = await ServerProcess.start({
    entry: variant.entry,
    env: upstreams.env,
    deno,
  });
  const response = await fetch(server.url, variant.request(upstreams));
  await response.body?.cancel();
  const ms = performance.now() - startedAt;
  if (response.status !== variant.status) {
    throw new Error(`${variant.name} answered ${response.status}`);
  }
  return ms;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "20" },
      deno: { type: "string", default: HOSTED_DENO_VERSION },
    },
  });
  const rounds = Number(values.rounds);
  const deno = await denoFromNpm(values.deno);
  const found = { circumstances: circumstances(values.deno) };
  // No latency: what is left is the function's own.
  await using upstreams = await startUpstreams({ databaseMs: 0, flyMs: 0 });
  const samples = new Map<string, number[]>(VARIANTS.map(({ name }) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    progress(round < 0 ? "warming the caches" : `round ${round + 1} of ${rounds}`);
    for (const variant of VARIANTS) {
      const ms = await firstAnswerMs(variant, upstreams, deno);
      // The first one of each fills Deno's caches of compiled modules.
      if (round >= 0) samples.get(variant.name)?.push(ms);
    }
  }

  const spreads = new Map([...samples].map(([name, values]) => [name, spread(values)]));
  const medianOf = (name: string) => median(samples.get(name) ?? []);
  const [a, b, ours] = [medianOf(EMPTY), medianOf(SUPABASE_JS), medianOf(OURS)];
  printTable(
    `Process start to first answer, ${rounds} starts each, alternating, milliseconds`,
    [...spreads].map(([name, s]) => row(name, s, b)),
  );
  const goals: Goal[] = [{
    goal: `at most ${GOAL} × (b)`,
    measured: `${(ours / b).toFixed(2)} × (b), ${(ours / a).toFixed(2)} × (a)`,
    met: ours <= GOAL * b,
  }];
  await report("cold-start", { ...found, rounds, spreads: Object.fromEntries(spreads), goals });
}

function row(name: string, s: Spread, base: number): Record<string, string | number> {
  return {
    variant: name,
    median: s.median.toFixed(0),
    quartiles: `${s.lowerQuartile.toFixed(0)}–${s.upperQuartile.toFixed(0)}`,
    "min–max": `${s.min.toFixed(0)}–${s.max.toFixed(0)}`,
    "× (b)": (s.median / base).toFixed(2),
  };
}

await main();
