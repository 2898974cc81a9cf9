import { z } from "zod";
import type { Action } from "../world/types.ts";

const milliseconds = z.number().min(0);

const actions = [
  "create",
  "list",
  "get",
  "wait",
  "start",
  "stop",
  "delete",
  "metadata",
  "events",
  "app",
  "regions",
  "unmodelled",
  "unknown",
] as const satisfies readonly Action[];

const matchSchema = z.strictObject({
  method: z.string().toUpperCase().optional(),
  action: z.enum(actions).optional(),
  /** The path without its query; `*` stands for any characters. */
  path: z.string().startsWith("/").optional(),
  machineName: z.string().optional(),
  region: z.string().optional(),
  /** 2 means: leave the first matching call alone and begin with the second. */
  nth: z.int().min(1).optional(),
});

const answerSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("status"),
    status: z.int().min(200).max(599),
    /** Sent as it is when it is a string, as JSON otherwise. */
    body: z.unknown().optional(),
    headers: z.record(z.string(), z.string()).optional(),
    /** True: the call has its effect all the same. */
    effect: z.boolean().optional(),
  }),
  z.strictObject({ kind: z.literal("reset"), when: z.enum(["before", "after"]) }),
  z.strictObject({ kind: z.literal("truncate") }),
  z.strictObject({ kind: z.literal("garbage"), body: z.string().optional() }),
]);

const delaySchema = z.strictObject({
  kind: z.literal("delay"),
  ms: milliseconds,
  /** Before or after the effect. */
  when: z.enum(["before", "after"]),
  /**
   * What the server does when the caller leaves during a delay before the effect. A real server does
   * not notice, so the default is to go on to the effect.
   */
  callerLeaves: z.enum(["continue", "stop"]).optional(),
});

const fateSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("fail-machine"),
    reason: z.string().optional(),
    exitCode: z.int().optional(),
    /** Counted from the create or start call; without it, when the Machine would be `started`. */
    afterMs: milliseconds.optional(),
    state: z.enum(["failed", "stopped", "launch_failed"]).optional(),
  }),
  z.strictObject({
    kind: z.literal("never-start"),
    /** Where the Machine gets stuck; `starting` by default. */
    state: z.enum(["created", "starting"]).optional(),
  }),
  z.strictObject({ kind: z.literal("start-delay"), ms: milliseconds }),
]);

/** One scripted fault. Unknown keys are refused: a misspelt fault that never strikes proves nothing. */
export const faultSchema = z.strictObject({
  match: matchSchema.default({}),
  /** How many matching calls it strikes: 1 by default. */
  times: z.union([z.int().min(1), z.literal("always")]).default(1),
  do: z.discriminatedUnion("kind", [answerSchema, delaySchema, fateSchema]),
}).refine(
  ({ match, do: effect }) =>
    !isFate(effect) || match.action === undefined || match.action === "create" ||
    match.action === "start",
  {
    error: "this fault is a Machine's fate: match.action must be create or start",
    path: ["match", "action"],
  },
);

/** A fault as a test writes it. */
export type Fault = z.input<typeof faultSchema>;
export type AnswerFault = z.infer<typeof answerSchema>;
export type DelayFault = z.infer<typeof delaySchema>;
/** What becomes of a Machine that is created or started by the call. */
export type Fate = z.infer<typeof fateSchema>;
export type FailMachine = Extract<Fate, { kind: "fail-machine" }>;

/** A fault in the list, and how often it struck. */
export interface PendingFault {
  id: number;
  fault: z.infer<typeof faultSchema>;
  /** Matching calls seen so far. */
  seen: number;
  /** Calls struck so far. */
  struck: number;
}

/** What is known of a call when faults are chosen. */
export interface CallFacts {
  method: string;
  /** Without the query. */
  path: string;
  action: Action;
  machineName: string | null;
  region: string | null;
}

/** The faults that one call meets: at most one answer, one delay, and one fate of each kind. */
export interface Strike {
  answer?: AnswerFault;
  delay?: DelayFault;
  fates: Fate[];
}

/** The list of scripted faults. Each call takes the first that matches, of each sort. */
export class Faults {
  #pending: PendingFault[] = [];
  #lastId = 0;

  /**
   * Adds a fault at the end of the list.
   *
   * @returns its id.
   * @throws {z.ZodError} naming what is wrong with it.
   */
  add(fault: unknown): number {
    const parsed = faultSchema.parse(fault);
    const id = ++this.#lastId;
    this.#pending.push({ id, fault: parsed, seen: 0, struck: 0 });
    return id;
  }

  /** The faults that can still strike, first to last. */
  pending(): PendingFault[] {
    return structuredClone(this.#pending);
  }

  clear(): void {
    this.#pending = [];
  }

  /** Takes the faults for one call. */
  strike(call: CallFacts): Strike {
    const strike: Strike = { fates: [] };
    for (const pending of this.#pending) {
      const { match, do: effect } = pending.fault;
      if (!matches(match, call) || taken(strike, effect, call.action)) continue;
      pending.seen++;
      if (pending.seen < (match.nth ?? 1)) continue;
      pending.struck++;
      if (isFate(effect)) strike.fates.push(effect);
      else if (effect.kind === "delay") strike.delay = effect;
      else strike.answer = effect;
    }
    this.#pending = this.#pending.filter(({ fault, struck }) =>
      fault.times === "always" || struck < fault.times
    );
    return strike;
  }
}

function isFate(effect: { kind: string }): effect is Fate {
  return ["fail-machine", "never-start", "start-delay"].includes(effect.kind);
}

/** True when the call already met a fault of this sort, or cannot meet one. */
function taken(strike: Strike, effect: { kind: string }, action: Action): boolean {
  if (isFate(effect)) {
    return (action !== "create" && action !== "start") ||
      strike.fates.some(({ kind }) => kind === effect.kind);
  }
  return effect.kind === "delay" ? strike.delay !== undefined : strike.answer !== undefined;
}

function matches(match: z.infer<typeof matchSchema>, call: CallFacts): boolean {
  return (match.method === undefined || match.method === call.method) &&
    (match.action === undefined || match.action === call.action) &&
    (match.path === undefined || glob(match.path).test(call.path)) &&
    (match.machineName === undefined || match.machineName === call.machineName) &&
    (match.region === undefined || match.region === call.region);
}

function glob(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*");
  return new RegExp(`^${escaped}$`);
}
