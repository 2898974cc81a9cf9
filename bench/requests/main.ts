/**
 * What a provisioning costs beside the floor and a naive version, in each way to host machines: all
 * in one run, in turn, on the same upstreams with fixed latencies.
 *
 * `deno task bench:requests [--rounds N] [--calm N] [--busy N] [--deno VERSION]`: per round and variant,
 * `calm` requests by few callers (latency) and `busy` requests by many (CPU time, throughput, memory).
 */
import { parseArgs } from "node:util";
import { startUpstreams, type Upstreams } from "../support/environment.ts";
import {
  type Circumstances,
  circumstances,
  printTable,
  progress,
  report,
} from "../support/report.ts";
import { denoFromNpm, HOSTED_DENO_VERSION } from "../../dev/stack/function/mod.ts";
import { ServerProcess } from "../support/server-process.ts";
import { type Contender, CONTENDERS, MODES } from "./contenders.ts";
import { goals, type Measured, type Summaries, summarize, tableRow } from "./findings.ts";
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

/** A contender, the server that runs it, and what was measured so far. */
interface Measurement extends Contender {
  server: ServerProcess;
  results: Measured;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "4" },
      calm: { type: "string", default: "60" },
      busy: { type: "string", default: "1200" },
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
  await using running = new AsyncDisposableStack();
  const measurements: Measurement[] = [];
  for (const contender of CONTENDERS) {
    const server = running.use(
      await ServerProcess.start({
        entry: contender.entry,
        deno,
        processor: SERVER_PROCESSOR,
        env: {
          ...upstreams.env,
          FLY_RATE_PER_SECOND: "1000",
          FLY_RATE_BURST: "1000",
          MAX_MACHINES: "1000000",
          MAX_PROVISIONS_PER_USER_PER_HOUR: "1000000",
          ...contender.env,
        },
      }),
    );
    measurements.push({ ...contender, server, results: await warmUp(server, upstreams) });
  }
  for (let round = 0; round < rounds; round++) {
    progress(`round ${round + 1} of ${rounds}`);
    // The first in one round is the last in the next.
    for (
      const { server, results } of round % 2 === 0 ? measurements : measurements.toReversed()
    ) {
      await measure(server, results, upstreams, { calm, busy });
    }
  }
  await show(measurements, { ...found, settings: { rounds, calm, busy } });
}

/** Prints the tables and the goals, and writes the result. */
async function show(
  measurements: readonly Measurement[],
  { settings, ...found }: {
    circumstances: Circumstances;
    settings: { rounds: number; calm: number; busy: number };
  },
): Promise<void> {
  const { rounds, calm, busy } = settings;
  const byMode = <T>(value: (results: Measured) => T) =>
    Object.fromEntries(MODES.map((mode) => [
      mode,
      Object.fromEntries(
        measurements.filter((one) => one.mode === mode)
          .map(({ variant, results }) => [variant, value(results)]),
      ),
    ]));
  const summary: Record<string, Summaries> = byMode(summarize);
  const named = measurements.map(({ mode, variant, results }) => ({
    name: `${mode}: ${variant}`,
    results,
  }));
  printTable(
    `One provisioning: database ${DATABASE_MS} ms, Fly.io ${FLY_MS} ms; ${rounds} rounds of ` +
      `${calm} calm and ${busy} busy requests each, alternating`,
    named.map(({ name, results }) => tableRow(name, summarize(results))),
  );
  printTable(
    "Calls to upstreams for one provisioning",
    named.map(({ name, results }) => ({
      variant: name,
      calls: Object.entries(results.callsPerRequest).map(([kind, n]) => `${n} × ${kind}`)
        .join(", "),
    })),
  );
  await report("requests", {
    ...found,
    settings: { ...settings, DATABASE_MS, FLY_MS, CALM_CALLERS, BUSY_CALLERS },
    summary,
    memory: byMode(({ memory }) => memory),
    callsPerRequest: byMode(({ callsPerRequest }) => callsPerRequest),
    goals: MODES.flatMap((mode) => goals(mode, summary[mode] ?? {})),
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
