/**
 * Users who do everything at once: new machines, repeated keys, 202s, DELETEs, hanging up, deleting
 * their account. What they do follows from the seed; how it interleaves does not.
 */
import { type FlyFault, type Random, seededRandom } from "../../dev/stack/fly/mod.ts";
import type { Call, CallIntent } from "../invariants/evidence.ts";
import type { IsolateProcess } from "./isolate-process.ts";
import { PROVISION_TIMEOUT_SECONDS, type System, type TestUser } from "./system.ts";

export interface LoadOptions {
  seed: number;
  /** How many calls are under way at a time. */
  width: number;
  /** Reconcile is called this often. */
  reconcileEveryMs: number;
  /** The share of new machines whose create meets a fault of Fly.io. Default 0. */
  flyFaults?: number;
  /** Accounts that may be deleted on the way. Default 0. */
  deletableUsers?: number;
  /** Most callers ask for what the warm pool has, and its starts meet faults too. Default false. */
  pooled?: boolean;
}

const PRIORITIES = ["low", "normal", "high"];
const REGIONS = ["iad", "ams", "syd"];

/** Lands when all callers have given up and the row may be closed. */
const LATE: FlyFault = { kind: "delay", ms: PROVISION_TIMEOUT_SECONDS * 1_500, when: "before" };
/** Creates whose outcome the function does not learn. */
const FLY_FAULTS: FlyFault[] = [
  LATE,
  LATE,
  LATE,
  { kind: "reset", when: "before" },
  { kind: "reset", when: "after" },
  { kind: "status", status: 502, effect: true },
  { kind: "half-answer" },
];

/** Starts of machines that stand by. */
const START_FAULTS: FlyFault[] = [
  { kind: "reset", when: "before" },
  { kind: "reset", when: "after" },
  { kind: "status", status: 502, effect: true },
  {
    kind: "status",
    status: 409,
    body: {
      error: "aborted: could not reserve resource for machine: insufficient memory available",
    },
  },
];

/** Load on a system, from its creation until {@link Load.stop}. */
export class Load {
  #stopped = false;
  readonly #random: Random;
  readonly #work: Promise<unknown>;
  #deletable: number;

  constructor(private readonly system: System, private readonly options: LoadOptions) {
    this.#random = seededRandom(options.seed);
    this.#deletable = options.deletableUsers ?? 0;
    this.#work = Promise.all([
      ...Array.from({ length: options.width }, () => this.#worker()),
      this.#reconciler(),
    ]);
  }

  /** No call begins from now on; resolves when those under way have ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
  }

  async #worker(): Promise<void> {
    while (!this.#stopped) {
      const isolate = this.#pick(this.system.isolates.filter(({ url }) => url !== null));
      if (isolate === undefined) await sleep(20);
      else await this.#act(isolate);
    }
  }

  async #act(isolate: IsolateProcess): Promise<void> {
    const user = this.#pick(this.system.users);
    if (user === undefined) throw new Error("the load needs users");
    const choice = this.#random();
    if (choice < 0.62) await this.#provision(isolate, user);
    else if (choice < 0.99) await this.#destroy(isolate);
    else if (this.#deletable > 0) {
      this.#deletable--;
      await this.system.deleteUser(user);
    }
  }

  /** A caller without an answer asks again with the same key, as the documentation says. */
  async #provision(isolate: IsolateProcess, user: TestUser): Promise<void> {
    const intent = this.#newIntent(user);
    const fault = this.#random() < (this.options.flyFaults ?? 0) && this.#pick(FLY_FAULTS);
    if (fault) this.system.simulator.addFault({ match: { action: "create" }, do: fault });
    const refused = this.options.pooled && this.#random() < (this.options.flyFaults ?? 0) &&
      this.#pick(START_FAULTS);
    if (refused) this.system.simulator.addFault({ match: { action: "start" }, do: refused });
    const { answer } = await this.system.call(isolate, user, intent);
    if (answer !== null || !intent.key || this.#random() < 0.3) return;
    const other = this.#pick(this.system.isolates.filter(({ url }) => url !== null));
    const { leaveAfterMs: _, ...again } = intent;
    if (other && !this.#stopped) await this.system.call(other, user, again);
  }

  #newIntent(user: TestUser): CallIntent {
    const earlier = this.system.calls.filter(({ userId, key }) => userId === user.id && key);
    const repeated = this.#random() < 0.2 ? this.#pick(earlier) : undefined;
    const leaves = this.#random() < 0.05;
    return {
      kind: "provision",
      userId: user.id,
      key: repeated?.key ?? (this.#random() < 0.85 ? crypto.randomUUID() : null),
      body: repeated?.body ?? this.#newBody(),
      async: this.#random() < 0.2,
      ...(leaves ? { leaveAfterMs: 1 + Math.floor(this.#random() * 400) } : {}),
    };
  }

  #newBody(): Record<string, string> {
    if (this.options.pooled && this.#random() < 0.7) return {};
    return {
      cpuPriority: this.#pick(PRIORITIES) ?? "low",
      region: this.#pick(REGIONS) ?? "iad",
    };
  }

  async #destroy(isolate: IsolateProcess): Promise<void> {
    const { calls } = this.system;
    const gone = new Set(calls.filter(isDestroyed).map(({ machineId }) => machineId));
    const call = this.#pick(calls.filter((call) => isLive(call) && !gone.has(machineIdOf(call))));
    const owner = this.system.users.find(({ id }) => id === call?.userId);
    if (call === undefined || owner === undefined) return await sleep(20);
    const intent: CallIntent = { kind: "destroy", machineId: machineIdOf(call), userId: owner.id };
    await this.system.call(isolate, this.#random() < 0.7 ? owner : null, intent);
  }

  /** As a schedule does it; a run that its isolate did not survive is not missed. */
  async #reconciler(): Promise<void> {
    while (!this.#stopped) {
      await sleep(this.options.reconcileEveryMs);
      if (this.options.pooled) await this.system.forgetDeadMakers();
      const isolate = this.#pick(this.system.isolates.filter(({ url }) => url !== null));
      if (isolate) await this.system.call(isolate, null, { kind: "reconcile" });
    }
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.#random() * items.length)];
  }
}

/** Asks again for every keyed call that no answer came to, as their callers would. */
export async function askAgain(system: System, isolate: IsolateProcess): Promise<void> {
  const answered = new Set(system.calls.filter(({ answer }) => answer).map(({ key }) => key));
  const open = new Map(
    system.calls.filter(({ key }) => key && !answered.has(key)).map((call) => [call.key, call]),
  );
  await Promise.all([...open.values()].map(async (call) => {
    const user = system.users.find(({ id }) => id === call.userId);
    const { startedAt: _, endedAt: __, answer: ___, leaveAfterMs: ____, ...intent } = call;
    if (user) await system.call(isolate, user, { ...intent, async: false });
  }));
}

/** How many answers of each kind and status; `no answer` where none came. */
export function answersByStatus(calls: readonly Call[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind, answer } of calls) {
    const name = `${kind} ${answer?.status ?? "no answer"}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => a < b ? -1 : 1));
}

function isLive({ kind, answer }: Call): boolean {
  return kind === "provision" && (answer?.status === 200 || answer?.status === 202);
}

function isDestroyed({ kind, answer }: Call): boolean {
  return kind === "destroy" && answer?.status === 200;
}

function machineIdOf({ answer }: Call): string {
  return JSON.parse(answer?.text ?? "{}").machineId;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
