/** One run of: load, SIGKILLs at random moments, restarts, reconcile, and a check of every invariant. */
import { seededRandom } from "../../dev/stack/fly/mod.ts";
import { violations } from "../invariants/settled-system.ts";
import type { IsolateProcess } from "./isolate-process.ts";
import { answersByStatus, askAgain, Load } from "./load.ts";
import { System } from "./system.ts";

export interface KillRunOptions {
  seed: number;
  kills: number;
  /** Whether each machine has an app of its own. */
  ownApps: boolean;
  /** How machines of a warm pool stand by; undefined: there is none. It takes apps of their own. */
  pool?: "stopped" | "started";
  isolates: number;
  users: number;
  /** An isolate lives this long at most before it is killed. */
  longestLifeMs: number;
}

export interface KillReport {
  seed: number;
  seconds: number;
  kills: number;
  requests: number;
  answers: Record<string, number>;
  rows: Record<string, number>;
  /** What became of rows, by kind of event. */
  events: Record<string, number>;
  machinesCreated: number;
  machinesLive: number;
  /** Claims that the warm pool served, and that it could not, by outcome. */
  poolClaims: Record<string, number>;
  violations: string[];
}

/** Filled before the first kill: no isolate lives long enough to fill it afterwards. */
const POOL_SIZE = 30;

/** @param onKill gets the number of kills so far */
export async function runKills(
  options: KillRunOptions,
  onKill: (kills: number) => void = () => {},
): Promise<KillReport> {
  const { seed, isolates } = options;
  const startedAt = Date.now();
  await using system = await System.start({
    seed,
    isolates,
    env: {
      MAX_MACHINES_PER_USER: "5",
      ...(options.ownApps ? { FLY_ORG_SLUG: "personal" } : {}),
      ...(options.pool ? { POOL_SIZE: String(POOL_SIZE), POOL_STATE: options.pool } : {}),
    },
    fly: {
      settings: {
        startDelayMs: { minMs: 20, maxMs: 500 },
        latencyMs: { minMs: 0, maxMs: 80 },
        // A request has only three seconds here.
        newAppDelayMs: { minMs: 0, maxMs: 300 },
        // Nor has a run minutes until the pool is listed.
        ...(options.pool
          ? { organizationListDelayMs: 200, newAppListDelayMs: 200, imageReadyMs: 100 }
          : {}),
      },
    },
  });
  await Promise.all(Array.from({ length: options.users }, () => system.addUser()));
  if (options.pool) await system.fillPool(POOL_SIZE);
  const load = new Load(system, {
    seed: seed + 1,
    width: 5 * isolates,
    reconcileEveryMs: 700,
    flyFaults: 0.2,
    deletableUsers: Math.floor(options.users / 5),
    pooled: options.pool !== undefined,
  });
  await killAtRandom(system, options, onKill);
  const [survivor] = system.isolates;
  if (survivor === undefined) throw new Error("a run needs an isolate");
  await load.stop();
  system.simulator.clearFaults();
  await survivor.start();
  await askAgain(system, survivor);
  const unsettled = await system.settle().then(() => [], (error: Error) => [error.message]);
  const refused = await refusalOfNewcomer(system, survivor);

  const state = await system.state();
  return {
    seed,
    seconds: Math.round((Date.now() - startedAt) / 1_000),
    kills: system.isolates.reduce((sum, isolate) => sum + isolate.kills, 0),
    requests: state.calls.length,
    answers: answersByStatus(state.calls),
    rows: count(
      state.rows.map(({ status, error_code }) => error_code ? `${status} ${error_code}` : status),
    ),
    events: count(state.events.map(({ kind }) => kind)),
    machinesCreated: state.machines.length,
    machinesLive: state.machines.filter(({ live }) => live).length,
    poolClaims: await system.poolClaims(),
    violations: [...violations(state), ...unsettled, ...refused],
  };
}

/** A new user gets a machine when all of it is over; if not, why not. */
async function refusalOfNewcomer(system: System, isolate: IsolateProcess): Promise<string[]> {
  const user = await system.addUser();
  const intent = { kind: "provision", userId: user.id, body: {} } as const;
  const { answer } = await system.call(isolate, user, intent);
  return answer?.status === 200 ? [] : [`a newcomer got ${answer?.status}: ${answer?.text}`];
}

/** Each isolate lives a random time and dies; the last kills leave none alive. */
async function killAtRandom(
  system: System,
  { seed, kills, longestLifeMs }: KillRunOptions,
  onKill: (kills: number) => void,
): Promise<void> {
  let left = kills;
  await Promise.all(system.isolates.map(async (isolate, index) => {
    const random = seededRandom(seed + 100 + index);
    while (left > 0) {
      left--;
      await isolate.start();
      await new Promise((resolve) => setTimeout(resolve, random() * longestLifeMs));
      await isolate.kill();
      onKill(kills - left);
    }
  }));
}

function count(names: string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names.toSorted()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
