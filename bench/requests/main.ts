/**
 * What a provisioning costs beside the floor and a naive version: all three in one run, in turn, on
 * the same upstreams with fixed latencies.
 *
 * `deno task bench:requests [--rounds N] [--calm N] [--busy N] [--deno VERSION]`: per round and variant,
 * `calm` requests by few callers (latency) and `busy` requests by many (CPU time, throughput, memory).
 */
import { parseArgs } from "node:util";
import { startUpstreams, type Upstreams } from "../support/environment.ts";
import { circumstances, printTable, progress, report } from "../support/report.ts";
import { denoFromNpm, HOSTED_DENO_VERSION } from "../../dev/stack/function/mod.ts";
import { ServerProcess } from "../support/server-process.ts";
import { goals, type Measured, rows, tableRow } from "./findings.ts";
import { load } from "./load.ts";

const DATABASE_MS = 5;
const FLY_MS = 50;
/** Few enough that no call queues for the processor. */
const CALM_CALLERS = 2;
/** Enough that the processor is the limit and not the latencies. */
const BUSY_CALLERS = 96;

/** The server under measurement has one processor to itself; everything else has the other. */
const SERVER_PROCESSOR = 0;
const OTHER_PROCESSOR = 1;

const VARIANTS = {
  floor: new URL("./floor.ts", import.meta.url),
  naive: new URL("./naive.ts", import.meta.url),
  ours: new URL("../../supabase/functions/provision-machine/index.ts", import.meta.url),
};
type Name = keyof typeof VARIANTS;
const NAMES = Object.keys(VARIANTS) as Name[];

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "4" },
      calm: { type: "string", default: "120" },
      busy: { type: "string", default: "2500" },
      deno: { type: "string", default: HOSTED_DENO_VERSION },
    },
  });
  const [rounds, calm, busy] = [values.rounds, values.calm, values.busy].map(Number) as [
    number,
    number,
    number,
  ];
  const deno = await denoFromNpm(values.deno);
  const found = { circumstances: circumstances(values.deno) };
  pinThisProcess();
  await using upstreams = await startUpstreams({
    databaseMs: DATABASE_MS,
    flyMs: FLY_MS,
    processor: OTHER_PROCESSOR,
  });
  const servers = new Map<Name, ServerProcess>();
  const measured = new Map<Name, Measured>();
  try {
    for (const name of NAMES) {
      const entry = VARIANTS[name];
      const server = await ServerProcess.start({
        entry,
        deno,
        processor: SERVER_PROCESSOR,
        env: { ...upstreams.env, FLY_RATE_PER_SECOND: "1000", FLY_RATE_BURST: "1000" },
      });
      servers.set(name, server);
      measured.set(name, await warmUp(server, upstreams));
    }
    for (let round = 0; round < rounds; round++) {
      progress(`round ${round + 1} of ${rounds}`);
      // The first in one round is the last in the next.
      for (const name of round % 2 === 0 ? NAMES : NAMES.toReversed()) {
        const server = servers.get(name);
        const results = measured.get(name);
        if (server === undefined || results === undefined) throw new Error(`no ${name}`);
        await measure(server, results, upstreams, { calm, busy });
      }
    }
  } finally {
    await Promise.all([...servers.values()].map((server) => server.stop()));
  }

  const results = Object.fromEntries(measured) as Record<Name, Measured>;
  const summary = rows(results);
  printTable(
    `One provisioning: database ${DATABASE_MS} ms, Fly.io ${FLY_MS} ms; ${rounds} rounds of ` +
      `${calm} calm and ${busy} busy requests each, alternating`,
    NAMES.map((name) => tableRow(name, summary[name])),
  );
  printTable(
    "Calls to upstreams for one provisioning",
    NAMES.map((name) => ({
      variant: name,
      calls: Object.entries(results[name].callsPerRequest).map(([kind, n]) => `${n} × ${kind}`)
        .join(", "),
    })),
  );
  await report("requests", {
    ...found,
    settings: { rounds, calm, busy, DATABASE_MS, FLY_MS, CALM_CALLERS, BUSY_CALLERS },
    summary,
    memory: Object.fromEntries(NAMES.map((name) => [name, results[name].memory])),
    callsPerRequest: Object.fromEntries(NAMES.map((name) => [name, results[name].callsPerRequest])),
    goals: goals(summary),
  });
}

const WARM_UP_REQUESTS = 400;

/** Until the compiler has seen every path; then one request alone, to count its calls. */
async function warmUp(server: ServerProcess, upstreams: Upstreams): Promise<Measured> {
  const { tokens } = upstreams;
  await load(server, { requests: WARM_UP_REQUESTS, concurrency: BUSY_CALLERS, tokens });
  await upstreams.counts();
  await load(server, { requests: 1, concurrency: 1, tokens });
  return { calm: [], busy: [], memory: [], callsPerRequest: await upstreams.counts() };
}

async function measure(
  server: ServerProcess,
  results: Measured,
  { tokens }: Upstreams,
  { calm, busy }: { calm: number; busy: number },
): Promise<void> {
  results.calm.push(await load(server, { requests: calm, concurrency: CALM_CALLERS, tokens }));
  const busyLoad = await load(server, { requests: busy, concurrency: BUSY_CALLERS, tokens });
  results.busy.push(busyLoad);
  const before = results.memory.at(-1)?.requests ?? WARM_UP_REQUESTS;
  results.memory.push({ requests: before + calm + busy, bytes: busyLoad.residentBytesAfter });
}

function pinThisProcess(): void {
  const { success } = new Deno.Command("taskset", {
    args: ["--all-tasks", "--cpu-list", "--pid", String(OTHER_PROCESSOR), String(Deno.pid)],
    stdout: "null",
    stderr: "null",
  }).outputSync();
  if (!success) {
    throw new Error("taskset (package util-linux) is needed to give each its processor");
  }
}

await main();
