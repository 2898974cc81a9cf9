/**
 * What can go wrong with a call to an upstream, and which call meets it: one vocabulary for the Fly.io
 * simulator, the local Supabase and the model test. Each of them applies the faults in its own way.
 */
import { z } from "zod";

const milliseconds = z.number().min(0);
/** Before the call takes effect, or after it. */
const when = z.enum(["before", "after"]);

/** What the caller sees instead of the upstream's own answer. */
export const answerFaultSchema = z.discriminatedUnion("kind", [
  /** This answer; the call has no effect unless `effect` is true. */
  z.strictObject({
    kind: z.literal("status"),
    status: z.int().min(200).max(599),
    /** Sent as it is when it is a string, as JSON otherwise. */
    body: z.unknown().optional(),
    headers: z.record(z.string(), z.string()).optional(),
    effect: z.boolean().optional(),
  }),
  /** The connection breaks without an answer. */
  z.strictObject({ kind: z.literal("reset"), when }),
  /** No answer ever comes. With `before` the call never takes effect either. */
  z.strictObject({ kind: z.literal("hang"), when }),
  /** The call takes effect; the connection breaks in the middle of its answer. */
  z.strictObject({ kind: z.literal("half-answer") }),
  /** The call takes effect; its answer is no JSON. */
  z.strictObject({ kind: z.literal("garbage"), body: z.string().optional() }),
]);

/**
 * The call takes effect, or is answered, this much later. As on a real server, a caller that leaves
 * meanwhile does not stop the effect.
 */
export const delaySchema = z.strictObject({ kind: z.literal("delay"), ms: milliseconds, when });

/** What becomes of a Fly machine that the call creates or starts. */
export const machineFaultSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("slow-start"), ms: milliseconds }),
  z.strictObject({
    kind: z.literal("never-starts"),
    /** Where the machine gets stuck; `starting` by default. */
    state: z.enum(["created", "starting"]).optional(),
  }),
  z.strictObject({
    kind: z.literal("fails"),
    /** `failed` by default. */
    state: z.enum(["failed", "stopped", "launch_failed"]).optional(),
    /** Counted from the create or start call; without it, when the machine would be `started`. */
    afterMs: milliseconds.optional(),
    exitCode: z.int().optional(),
    reason: z.string().optional(),
  }),
]);

export type AnswerFault = z.infer<typeof answerFaultSchema>;
export type DelayFault = z.infer<typeof delaySchema>;
export type MachineFault = z.infer<typeof machineFaultSchema>;
/** What can go wrong with a call to any upstream. */
export type CallFault = AnswerFault | DelayFault;

/** What a broken answer says: the beginning of JSON, then nothing that parses. */
export const GARBAGE = '{"id": "d890\u0000</html>';

/** How many matching calls meet a fault. */
export const timesSchema = z.union([z.int().min(1), z.literal("always")]);

/** A fault and the calls that meet it, as a test writes it. */
export interface FaultRule<Match, Fault> {
  /** The calls that have each field that is given here; every call by default. */
  match?: Match | undefined;
  /** How many matching calls to leave alone first; 0 by default. */
  skip?: number | undefined;
  /** How many matching calls meet the fault; 1 by default. */
  times?: number | "always" | undefined;
  do: Fault;
}

/** A fault in the list, and how often it was applied. */
export interface PendingFault<Match, Fault> {
  id: number;
  rule: FaultRule<Match, Fault>;
  /** Matching calls so far. */
  seen: number;
  /** Calls that met the fault so far. */
  applied: number;
}

/**
 * The faults that a test asked for. A call meets the first that matches of each sort, and counts as
 * seen only for these.
 */
export class FaultList<Match extends object, Fault> {
  #pending: PendingFault<Match, Fault>[] = [];
  #lastId = 0;

  /** Adds a fault at the end of the list and returns its id. */
  add(rule: FaultRule<Match, Fault>): number {
    const id = ++this.#lastId;
    this.#pending.push({ id, rule, seen: 0, applied: 0 });
    return id;
  }

  remove(id: number): void {
    this.#pending = this.#pending.filter((entry) => entry.id !== id);
  }

  /** The faults that can still be applied, first to last. */
  pending(): PendingFault<Match, Fault>[] {
    return structuredClone(this.#pending);
  }

  clear(): void {
    this.#pending = [];
  }

  /**
   * Takes the faults for one call.
   *
   * @param sort Of a fault; null for one that this call cannot meet.
   */
  take(call: object, sort: (fault: Fault) => string | null): Fault[] {
    const taken = new Map<string, Fault>();
    for (const entry of this.#pending) {
      const { match = {}, skip = 0, do: fault } = entry.rule;
      const own = sort(fault);
      if (own === null || taken.has(own) || !matches(match, call)) continue;
      entry.seen++;
      if (entry.seen <= skip) continue;
      entry.applied++;
      taken.set(own, fault);
    }
    this.#pending = this.#pending.filter(({ rule: { times = 1 }, applied }) =>
      times === "always" || applied < times
    );
    return [...taken.values()];
  }
}

/**
 * Whether a call has each field that `match` gives. In `path`, `*` stands for any characters; the case
 * of `method` does not matter.
 */
export function matches(match: object, call: object): boolean {
  return Object.entries(match).every(([name, wanted]) => {
    const actual: unknown = Reflect.get(call, name);
    if (wanted === undefined) return true;
    if (name === "path") return glob(String(wanted)).test(String(actual));
    if (name === "method") return String(wanted).toUpperCase() === String(actual).toUpperCase();
    return wanted === actual;
  });
}

function glob(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*");
  return new RegExp(`^${escaped}$`);
}
