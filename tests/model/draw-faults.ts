/**
 * What can go wrong with one call to an upstream, drawn for every single call. `fc` draws an array
 * of these for each upstream; its calls take them in the order in which they are sent.
 */
import fc from "fast-check";
import type { CallFault, MachineFault } from "../../dev/stack/faults.ts";
import { CAPACITY_VARIANT_NAMES, type CapacityVariant } from "../../dev/stack/fly/mod.ts";

/** What a `status` fault answers as its body; `echo` repeats every secret of the request. */
export type BodyKind = "json" | "html" | "empty" | "echo";

/** `status` as everywhere, with the kind of its body, because `echo` depends on the request. */
export interface StatusFault {
  kind: "status";
  status: number;
  effect: boolean;
  retryAfterSeconds: number | null;
  body: BodyKind;
}

/** The fault of one call of a schedule. */
export type ScheduledFault =
  | { kind: "none" }
  | Exclude<CallFault, { kind: "status" }>
  | StatusFault
  /** A list of Fly.io lacks a region, and says so only where it has a field for it. */
  | { kind: "silent-region" }
  /** The isolate ends: before the call is sent, when it is on its way, or when its answer arrives. */
  | { kind: "crash"; when: "unsent" | "sent" | "answered" };

/** What becomes of the machine that one create makes, or why it makes none. */
export type ScheduledMachineFault =
  | { kind: "starts" }
  | MachineFault
  /** It is destroyed behind our back. */
  | { kind: "killed"; afterMs: number }
  | { kind: "no-capacity"; variant: CapacityVariant };

/** What becomes of a machine of the warm pool when it is started. */
export type ScheduledStartFault =
  | { kind: "starts" }
  | MachineFault
  /** Its host has no room for it any more. */
  | { kind: "no-room" };

/** Statuses that say that the call had no effect. */
const REFUSALS = [400, 401, 403, 404, 408, 409, 412, 422, 429];
/** Statuses that leave it open. */
const FAILURES = [500, 502, 503, 504];

const none = fc.constant<ScheduledFault>({ kind: "none" });

const status = fc.record({
  kind: fc.constant("status" as const),
  status: fc.constantFrom(...FAILURES, ...REFUSALS),
  effect: fc.boolean(),
  retryAfterSeconds: fc.constantFrom(null, 0, 1, 7, 400),
  body: fc.constantFrom<BodyKind>("json", "html", "empty", "echo"),
}).map((fault): ScheduledFault => ({ ...fault, effect: fault.effect && fault.status >= 500 }));

const otherFault = fc.oneof(
  fc.constant<ScheduledFault>({ kind: "hang", when: "before" }),
  fc.constantFrom(1_000, 15_000, 45_000, 90_000, 200_000)
    .map((ms): ScheduledFault => ({ kind: "delay", ms, when: "before" })),
  fc.constant<ScheduledFault>({ kind: "hang", when: "after" }),
  fc.constantFrom("before" as const, "after" as const)
    .map((when): ScheduledFault => ({ kind: "reset", when })),
  fc.constant<ScheduledFault>({ kind: "half-answer" }),
  fc.constant<ScheduledFault>({ kind: "garbage" }),
  fc.constant<ScheduledFault>({ kind: "silent-region" }),
  fc.constantFrom("unsent" as const, "sent" as const, "answered" as const)
    .map((when): ScheduledFault => ({ kind: "crash", when })),
);

/** Faults for the calls to one upstream; the calls after the last are left alone. */
export const faultsArbitrary: fc.Arbitrary<ScheduledFault[]> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<ScheduledFault[]>([]) },
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
  // Hardly any call gets through.
  {
    weight: 1,
    arbitrary: fc.array(fc.oneof(none, status, otherFault), { maxLength: 16, size: "max" }),
  },
);

/** For the machines, in the order of the creates; the ones after the last start as usual. */
export const machineFaultsArbitrary: fc.Arbitrary<ScheduledMachineFault[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant<ScheduledMachineFault>({ kind: "starts" }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(3_000, 40_000, 100_000, 115_000)
        .map((ms): ScheduledMachineFault => ({ kind: "slow-start", ms })),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom("created" as const, "starting" as const)
        .map((state): ScheduledMachineFault => ({ kind: "never-starts", state })),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("fails" as const),
        state: fc.constantFrom("failed" as const, "stopped" as const, "launch_failed" as const),
        afterMs: fc.constantFrom(null, 0, 200, 5_000),
      }).map(({ afterMs, ...fails }): ScheduledMachineFault =>
        afterMs === null ? fails : { ...fails, afterMs }
      ),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom(0, 250, 400, 30_000)
        .map((afterMs): ScheduledMachineFault => ({ kind: "killed", afterMs })),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom(...CAPACITY_VARIANT_NAMES)
        .map((variant): ScheduledMachineFault => ({ kind: "no-capacity", variant })),
    },
  ),
  { maxLength: 6 },
);

/** For the starts of machines that stand by, in their order; the ones after the last start as usual. */
export const startFaultsArbitrary: fc.Arbitrary<ScheduledStartFault[]> = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.constant<ScheduledStartFault>({ kind: "starts" }) },
    { weight: 2, arbitrary: fc.constant<ScheduledStartFault>({ kind: "no-room" }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(3_000, 40_000, 115_000)
        .map((ms): ScheduledStartFault => ({ kind: "slow-start", ms })),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom("failed" as const, "stopped" as const)
        .map((state): ScheduledStartFault => ({ kind: "fails", state, afterMs: 200 })),
    },
  ),
  { maxLength: 6 },
);
