/**
 * What can go wrong with one call to an upstream, drawn for every single call. `fc` draws an array
 * of these for each upstream; its calls take them in the order in which they are sent.
 */
import fc from "fast-check";
import { CAPACITY_VARIANT_NAMES, type CapacityVariant } from "../../dev/stack/fly/mod.ts";

/** What a scripted answer carries as its body; `echo` repeats every secret of the request. */
export type AnswerBody = "json" | "html" | "empty" | "echo";

export type Fault =
  | { kind: "none" }
  /** This answer, with the call's effect or without. */
  | {
    kind: "status";
    status: number;
    effect: boolean;
    retryAfterSeconds: number | null;
    body: AnswerBody;
  }
  /** The call never arrives and is never answered. */
  | { kind: "lost-request" }
  /** The call arrives this late, even if its caller has given up long since. */
  | { kind: "late-request"; ms: number }
  /** The call takes effect; its answer never comes. */
  | { kind: "lost-answer" }
  | { kind: "reset"; when: "before" | "after" }
  /** The connection breaks in the middle of the answer. */
  | { kind: "half-answer" }
  /** The call takes effect; its answer is no JSON. */
  | { kind: "garbage" }
  /** The isolate dies: before the call is sent, when it is on its way, or when its answer arrives. */
  | { kind: "crash"; when: "unsent" | "sent" | "answered" };

/** What becomes of the machine that a create makes, or why it makes none. */
export type Fate =
  | { kind: "starts" }
  | { kind: "slow-start"; ms: number }
  | { kind: "never-starts"; state: "created" | "starting" }
  | { kind: "fails"; state: "failed" | "stopped" | "launch_failed"; afterMs: number | null }
  /** Somebody destroys it behind our back. */
  | { kind: "killed"; afterMs: number }
  | { kind: "no-capacity"; variant: CapacityVariant };

/** Statuses that say that the call had no effect. */
const REFUSALS = [400, 401, 403, 404, 408, 409, 412, 422, 429];
/** Statuses that leave it open. */
const FAILURES = [500, 502, 503, 504];

const none = fc.constant<Fault>({ kind: "none" });

const status = fc.record({
  kind: fc.constant("status" as const),
  status: fc.constantFrom(...FAILURES, ...REFUSALS),
  effect: fc.boolean(),
  retryAfterSeconds: fc.constantFrom(null, 0, 1, 7, 400),
  body: fc.constantFrom<AnswerBody>("json", "html", "empty", "echo"),
}).map((fault): Fault => ({ ...fault, effect: fault.effect && fault.status >= 500 }));

const otherFault = fc.oneof(
  fc.constant<Fault>({ kind: "lost-request" }),
  fc.constantFrom(1_000, 15_000, 45_000, 90_000, 200_000)
    .map((ms): Fault => ({ kind: "late-request", ms })),
  fc.constant<Fault>({ kind: "lost-answer" }),
  fc.constantFrom("before" as const, "after" as const)
    .map((when): Fault => ({ kind: "reset", when })),
  fc.constant<Fault>({ kind: "half-answer" }),
  fc.constant<Fault>({ kind: "garbage" }),
  fc.constantFrom("unsent" as const, "sent" as const, "answered" as const)
    .map((when): Fault => ({ kind: "crash", when })),
);

/** Faults for the calls to one upstream; the calls after the last are left alone. */
export const faultsArbitrary: fc.Arbitrary<Fault[]> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<Fault[]>([]) },
  {
    weight: 3,
    arbitrary: fc.array(
      fc.oneof(
        { weight: 7, arbitrary: none },
        { weight: 1, arbitrary: status },
        { weight: 2, arbitrary: otherFault },
      ),
      { maxLength: 30, size: "max" },
    ),
  },
  // Hardly a call gets through.
  {
    weight: 1,
    arbitrary: fc.array(fc.oneof(none, status, otherFault), { maxLength: 16, size: "max" }),
  },
);

/** Fates of the machines, in the order of the creates; the ones after the last start as usual. */
export const fatesArbitrary: fc.Arbitrary<Fate[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant<Fate>({ kind: "starts" }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(3_000, 40_000, 100_000, 115_000)
        .map((ms): Fate => ({ kind: "slow-start", ms })),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom("created" as const, "starting" as const)
        .map((state): Fate => ({ kind: "never-starts", state })),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("fails" as const),
        state: fc.constantFrom("failed" as const, "stopped" as const, "launch_failed" as const),
        afterMs: fc.constantFrom(null, 0, 200, 5_000),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom(0, 250, 400, 30_000)
        .map((afterMs): Fate => ({ kind: "killed", afterMs })),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom(...CAPACITY_VARIANT_NAMES)
        .map((variant): Fate => ({ kind: "no-capacity", variant })),
    },
  ),
  { maxLength: 6 },
);
