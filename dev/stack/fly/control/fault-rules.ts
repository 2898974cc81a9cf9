/** The form of a fault that the simulator is asked for, and which fault a call meets. */
import { z } from "zod";
import {
  answerFaultSchema,
  delaySchema,
  FaultList,
  type FaultRule,
  type MachineFault,
  machineFaultSchema,
  type PendingFault,
  timesSchema,
} from "../../faults.ts";
import { type Action, ACTIONS } from "../world/types.ts";

const matchSchema = z.strictObject({
  method: z.string().optional(),
  action: z.enum(ACTIONS).optional(),
  /** The path without its query; `*` stands for any characters. */
  path: z.string().startsWith("/").optional(),
  machineName: z.string().optional(),
  region: z.string().optional(),
});

/** A read answers as usual, and leaves these Machines (by id or name) out; to a read of one it is 404. */
const omitsSchema = z.strictObject({
  kind: z.literal("omits"),
  machines: z.union([z.literal("all"), z.array(z.string())]),
});

const effectSchema = z.discriminatedUnion("kind", [
  answerFaultSchema,
  delaySchema,
  machineFaultSchema,
  omitsSchema,
]);

/** Unknown keys are refused: a misspelt fault that is never applied proves nothing. */
const ruleSchema = z.strictObject({
  match: matchSchema.default({}),
  skip: z.int().min(0).default(0),
  times: timesSchema.default(1),
  do: effectSchema,
}).refine(
  ({ match, do: effect }) =>
    !isMachineFault(effect) || match.action === undefined || match.action === "create" ||
    match.action === "start",
  {
    error: "this fault is about a Machine: match.action must be create or start",
    path: ["match", "action"],
  },
);

/** What can go wrong with a call to Fly.io. */
export type FlyFault = z.infer<typeof effectSchema>;
type OmitsFault = z.infer<typeof omitsSchema>;
type FlyMatch = z.infer<typeof matchSchema>;
/** A fault and the calls that meet it, as a test writes it. */
export type FlyFaultRule = FaultRule<FlyMatch, FlyFault>;
export type PendingFlyFault = PendingFault<FlyMatch, FlyFault>;

/** What is known of a call when its faults are chosen. */
export interface CallFacts {
  method: string;
  /** Without the query. */
  path: string;
  action: Action;
  machineName: string | null;
  region: string | null;
}

/** The faults that one call meets: at most one answer, one delay, and one of each kind of Machine. */
export interface FaultsOfCall {
  answer: Exclude<FlyFault, MachineFault | OmitsFault | { kind: "delay" }> | undefined;
  delay: Extract<FlyFault, { kind: "delay" }> | undefined;
  omits: OmitsFault | undefined;
  machine: MachineFault[];
}

/** The list of faults that were asked for. */
export class FlyFaults {
  readonly #list = new FaultList<FlyMatch, FlyFault>();

  /**
   * Adds a fault at the end of the list.
   *
   * @returns its id.
   * @throws {z.ZodError} naming what is wrong with it.
   */
  add(rule: unknown): number {
    return this.#list.add(ruleSchema.parse(rule));
  }

  /** The faults that can still be applied, first to last. */
  pending(): PendingFlyFault[] {
    return this.#list.pending();
  }

  clear(): void {
    this.#list.clear();
  }

  /** Takes the faults for one call. */
  take(call: CallFacts): FaultsOfCall {
    const makesMachine = call.action === "create" || call.action === "start";
    const found: FaultsOfCall = {
      answer: undefined,
      delay: undefined,
      omits: undefined,
      machine: [],
    };
    const faults = this.#list.take(call, (fault) => {
      if (isMachineFault(fault)) return makesMachine ? fault.kind : null;
      return fault.kind === "delay" || fault.kind === "omits" ? fault.kind : "answer";
    });
    for (const fault of faults) {
      if (isMachineFault(fault)) found.machine.push(fault);
      else if (fault.kind === "delay") found.delay = fault;
      else if (fault.kind === "omits") found.omits = fault;
      else found.answer = fault;
    }
    return found;
  }
}

function isMachineFault(fault: FlyFault): fault is MachineFault {
  return ["slow-start", "never-starts", "fails"].includes(fault.kind);
}
