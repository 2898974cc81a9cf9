/**
 * Several processes of the function on one real Postgres, and many users who do at once what can only
 * go right if no process decides anything on its own: every call is sent twice, to two processes, with
 * the same key, and every user asks for more machines than are allowed.
 *
 * On a machine that is too busy the function fails calls, truthfully. Users who are left with fewer
 * machines call again with new keys, as the documentation advises.
 */
import { type Random, type RateLimit, seededRandom } from "../../dev/stack/fly/mod.ts";
import type { Call, CallIntent } from "../../tests/invariants/evidence.ts";
import { violations } from "../../tests/invariants/settled-system.ts";
import { System, type TestUser } from "../../tests/postgres/system.ts";
import { keysServed, machinesOf, splitAnswers, unanswered, wrongCounts } from "./judge.ts";

const PROVISION_TIMEOUT_SECONDS = 140;
/** The function answers within its timeout; a busy machine may deliver that 30 s later. */
const PATIENCE_MS = (PROVISION_TIMEOUT_SECONDS + 30) * 1_000;
/** After so many failing rounds the machine is too busy for a result. */
const ROUNDS = 5;

export interface ScaleOutOptions {
  processes: number;
  users: number;
  /** How many each may have; every user asks for two more. */
  machinesPerUser: number;
  /** Users who call at the same time. */
  width: number;
  seed: number;
  /** The simulator's, with which the function is configured too. */
  rate: RateLimit;
  onProgress?: (usersDone: number) => void;
}

export interface ScaleOutResult {
  provisions: number;
  /** Before any call is repeated. */
  provisionsPerSecond: number;
  calls: number;
  /** How many of the calls were sent because an earlier one had failed. */
  askedAgain: number;
  /** How many answers of each status. */
  answers: Record<string, number>;
  /** How many provisions each process did. */
  byProcess: number[];
  /** Creates that Fly.io refused for going too fast. */
  refused: number;
  /** One sentence per violated invariant. */
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
      MAX_MACHINES: "1000000",
      MAX_PROVISIONS_PER_USER_PER_HOUR: "1000000",
      MAX_MACHINES_PER_USER: String(options.machinesPerUser),
      PROVISION_TIMEOUT_SECONDS: String(PROVISION_TIMEOUT_SECONDS),
      FLY_REQUEST_TIMEOUT_SECONDS: "60",
    },
  });
  for (let i = 0; i < options.users; i++) await system.addUser();
  const random = seededRandom(options.seed);
  const startedAt = performance.now();
  const all = options.machinesPerUser + 2;
  const first = await round(system, system.users.map((user) => ({ user, keys: all })), {
    ...options,
    random,
  });
  const seconds = (performance.now() - startedAt) / 1_000;
  const { again, wrong } = await askAgain(system, first, { ...options, random });

  const state = await system.state();
  const calls = [...first, ...again];
  const answers = Object.groupBy(calls, ({ answer }) => String(answer?.status ?? "none"));
  return {
    provisionsPerSecond: keysServed(first) / seconds,
    provisions: state.rows.filter(({ status }) => status === "running").length,
    calls: calls.length,
    askedAgain: again.length,
    answers: Object.fromEntries(
      Object.entries(answers).map(([status, calls]) => [status, calls?.length ?? 0]),
    ),
    byProcess: system.isolates.map(({ lines }) =>
      lines.filter(({ line }) => line.includes("✅ Fly machine created successfully")).length
    ),
    refused: system.simulator.requests()
      .filter(({ action, status }) => action === "create" && status === 429).length,
    violations: [...violations(state), ...wrong, ...splitAnswers(calls), ...unanswered(calls)],
  };
}

interface RoundOptions extends Pick<ScaleOutOptions, "machinesPerUser" | "width" | "onProgress"> {
  random: Random;
}

/**
 * Once all is settled, users with fewer machines than allowed ask again, until there are none. Returns
 * these calls, and the counts that no failure excuses.
 */
async function askAgain(
  system: System,
  first: Call[],
  options: RoundOptions,
): Promise<{ again: Call[]; wrong: string[] }> {
  const { machinesPerUser: allowed } = options;
  const again: Call[] = [];
  const wrong: string[] = [];
  for (let rounds = 1, calls = first;; rounds++) {
    try {
      await system.settle();
    } catch (error) {
      return { again, wrong: [...wrong, String(error)] };
    }
    const state = await system.state();
    wrong.push(...wrongCounts(state, calls, allowed));
    const lacking = system.users.map((user) => ({
      user,
      keys: allowed - machinesOf(state, user.id),
    })).filter(({ keys }) => keys > 0);
    if (lacking.length === 0) return { again, wrong };
    if (rounds === ROUNDS) {
      const left = lacking.map(({ user, keys }) => `${user.id} lacks ${keys} machines to the end`);
      return { again, wrong: [...wrong, ...left] };
    }
    calls = await round(system, lacking, options);
    again.push(...calls);
  }
}

/** Every user calls with so many new keys, a few users at a time. */
async function round(
  system: System,
  users: { user: TestUser; keys: number }[],
  { width, random, onProgress }: RoundOptions,
): Promise<Call[]> {
  const waiting = [...users];
  const calls: Call[] = [];
  let done = 0;
  const worker = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      calls.push(...await callsOf(system, next.user, next.keys, random));
      onProgress?.(++done);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return calls;
}

async function callsOf(
  system: System,
  user: TestUser,
  keys: number,
  random: Random,
): Promise<Call[]> {
  const { isolates } = system;
  const pairs = await Promise.all(Array.from({ length: keys }, () => {
    const first = Math.floor(random() * isolates.length);
    const second = (first + 1 + Math.floor(random() * (isolates.length - 1))) % isolates.length;
    const intent: CallIntent = {
      kind: "provision",
      userId: user.id,
      key: crypto.randomUUID(),
      leaveAfterMs: PATIENCE_MS,
    };
    return Promise.all([first, second].map((index) => {
      const isolate = isolates[index];
      if (isolate === undefined) throw new Error(`no process ${index}`);
      return system.call(isolate, user, intent);
    }));
  }));
  return pairs.flat();
}
