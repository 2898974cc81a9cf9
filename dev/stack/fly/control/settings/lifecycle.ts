/** Settings of a Machine's life: how long things take, and in which of the recorded ways they happen. */
import { z } from "zod";
import { duration } from "./duration.ts";

export const lifecycleSettings = {
  /**
   * What becomes of a Machine made with `skip_launch`: it stays `created` (documented), or is `stopped`
   * once its image is ready (DayriseA/checkout-surge and others saw that), where start is refused
   * before.
   */
  skipLaunch: z.enum(["created", "stopped"]),
  /** From a create with `skip_launch` to `stopped`. */
  imageReadyMs: duration,
  /** From `suspending` to `suspended`: community.fly.io, topic 26623, has more than 15 s. */
  suspendDelayMs: duration,
  /** How likely a suspend ends as a stop, which the documentation reserves for many at once. */
  suspendFails: z.number().min(0).max(1),
  /** How long after `stopped` a start is refused: recorded as 0.4 to 1 s. */
  stillActiveMs: duration,
  /** The status of a start refused for the Machine's state: the text is recorded more often than it. */
  startRefusalStatus: z.union([z.literal(400), z.literal(409), z.literal(412)]),
  /** A start of a `started` Machine: recorded as 200, and by one client as 409. */
  startOfStarted: z.enum(["ok", "409"]),
  /** After how long a Machine of a trial organization stops (docs, free-trial). */
  trialLifetimeMs: z.number().min(0),
  /** The status of a second Machine of one name: Kilo recorded 409, terraform-provider-fly expects 422. */
  duplicateNameStatus: z.union([z.literal(409), z.literal(422)]),
  /** From a crash to `started` again. */
  restartDelayMs: duration,
  /** How long an update replaces a Machine: checkout-surge saw 3.5 s, others a minute. */
  replaceDelayMs: duration,
  /** Where an exit stands in an event's request; flyctl reads both. */
  exitEventUnder: z.enum(["exit_event", "MonitorEvent", "both"]),
  /** What stop and destroy do under another's lease: measured in 2026, and reported in 2023. */
  foreignLease: z.enum(["hangs", "409"]),
  /** The form of a lease in answers: docs and live API nest it, the OpenAPI file does not. */
  leaseBody: z.enum(["nested", "flat"]),
};

export const LIFECYCLE_DEFAULTS: z.infer<z.ZodObject<typeof lifecycleSettings>> = {
  skipLaunch: "stopped",
  imageReadyMs: 1000,
  suspendDelayMs: { minMs: 300, maxMs: 3000 },
  suspendFails: 0,
  stillActiveMs: { minMs: 400, maxMs: 1000 },
  startRefusalStatus: 412,
  startOfStarted: "409",
  trialLifetimeMs: 300_000,
  duplicateNameStatus: 409,
  restartDelayMs: 1000,
  replaceDelayMs: 3500,
  exitEventUnder: "exit_event",
  foreignLease: "hangs",
  leaseBody: "nested",
};
