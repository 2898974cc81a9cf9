/**
 * Several processes of the function on one real Postgres, and many users who do at once what can only
 * go right if no process decides anything by itself: every call is sent twice, to two processes, with
 * the same key, and every user asks for more machines than are allowed.
 */
import { type RateLimit, seededRandom } from "../../dev/fly-simulator/mod.ts";
import { type Call, violations } from "../../tests/postgres/final-state.ts";
import { System, type TestUser } from "../../tests/postgres/system.ts";

export interface ScaleOutOptions {
  processes: number;
  users: number;
  /** How many each may have; every user asks for two more. */
  machinesPerUser: number;
  /** Users who call at the same time. */
  width: number;
  seed: number;
  /** Of the simulator, and what the function is told it is. */
  rate: RateLimit;
  onProgress?: (usersDone: number) => void;
}

export interface ScaleOutResult {
  seconds: number;
  provisions: number;
  calls: number;
  /** How many answers of each status. */
  answers: Record<string, number>;
  /** How many provisions each process did. */
  byProcess: number[];
  /** Creates that Fly.io refused for going too fast. */
  refused: number;
  /** Everything that is not as it should be. */
  violations: string[];
}

export async function runScaleOut(options: ScaleOutOptions): Promise<ScaleOutResult> {
  const { rate } = options;
  await using system = await System.start({
    seed: options.seed,
    isolates: options.processes,
    fly: { settings: { rateLimits: { get: rate, other: rate } } },
    env: {
      FLY_RATE_PER_SECOND: String(rate.perSecond),
      FLY_RATE_BURST: String(rate.burst),
      MAX_MACHINES_PER_USER: String(options.machinesPerUser),
      PROVISION_TIMEOUT_SECONDS: "140",
      FLY_REQUEST_TIMEOUT_SECONDS: "60",
    },
  });
  for (let i = 0; i < options.users; i++) await system.addUser();
  const startedAt = performance.now();
  await loadFrom(system, options);
  const seconds = (performance.now() - startedAt) / 1_000;

  const state = await system.state();
  const answers = Object.groupBy(system.calls, ({ answer }) => String(answer?.status ?? "none"));
  return {
    seconds,
    provisions: state.rows.filter(({ status }) => status === "running").length,
    calls: system.calls.length,
    answers: Object.fromEntries(
      Object.entries(answers).map(([status, calls]) => [status, calls?.length ?? 0]),
    ),
    byProcess: system.isolates.map(({ lines }) =>
      lines.filter(({ line }) => line.includes("✅ Fly machine created successfully")).length
    ),
    refused: system.simulator.requests()
      .filter(({ action, status }) => action === "create" && status === 429).length,
    violations: [...violations(state), ...wrongCounts(system, options.machinesPerUser)],
  };
}

async function loadFrom(system: System, options: ScaleOutOptions): Promise<void> {
  const random = seededRandom(options.seed);
  const waiting = [...system.users];
  let done = 0;
  const worker = async () => {
    for (let user = waiting.pop(); user !== undefined; user = waiting.pop()) {
      await callsOf(system, user, options.machinesPerUser + 2, random);
      options.onProgress?.(++done);
    }
  };
  await Promise.all(Array.from({ length: options.width }, worker));
}

async function callsOf(
  system: System,
  user: TestUser,
  machines: number,
  random: () => number,
): Promise<void> {
  const { isolates } = system;
  await Promise.all(Array.from({ length: machines }, () => {
    const first = Math.floor(random() * isolates.length);
    const second = (first + 1 + Math.floor(random() * (isolates.length - 1))) % isolates.length;
    const intent = { kind: "provision" as const, userId: user.id, key: crypto.randomUUID() };
    return Promise.all([first, second].map((index) => {
      const isolate = isolates[index];
      if (isolate === undefined) throw new Error(`no process ${index}`);
      return system.call(isolate, user, intent);
    }));
  }));
}

/** Each user has exactly as many machines as allowed, and both calls with one key were told the same. */
function wrongCounts({ calls, users }: System, allowed: number): string[] {
  const byUser = Map.groupBy(calls, ({ userId }) => userId);
  return users.flatMap((user) => {
    const own = byUser.get(user.id) ?? [];
    const byKey = [...Map.groupBy(own, ({ key }) => key).values()];
    const split = byKey.filter((pair) => new Set(pair.map(told)).size !== 1);
    const machines = new Set(own.filter(succeeded).map(machineIdOf));
    return [
      ...(machines.size === allowed ? [] : [`${user.id} has ${machines.size} machines`]),
      ...split.map((pair) => `one key, two answers: ${pair.map(told).join(" and ")}`),
    ];
  });
}

const succeeded = ({ answer }: Call) => answer?.status === 200;
const machineIdOf = ({ answer }: Call): string => JSON.parse(answer?.text ?? "{}").machineId;
/** Who was refused for the limit is told of any live machine, so only the status counts. */
const told = (call: Call): string =>
  succeeded(call) ? `200 ${machineIdOf(call)}` : String(call.answer?.status);
