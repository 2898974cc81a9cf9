/** How fast the simulated Fly.io is and what it limits. */
import { z } from "zod";
import { FLY_RATE_LIMITS } from "../api/rate-limit.ts";
import { APP_DEFAULTS, appSettings } from "./settings/apps.ts";
import { duration, milliseconds } from "./settings/duration.ts";
import { LIFECYCLE_DEFAULTS, lifecycleSettings } from "./settings/lifecycle.ts";
import { READ_DEFAULTS, readSettings } from "./settings/reads.ts";

export { draw, type Duration } from "./settings/duration.ts";

const rateLimitSchema = z.strictObject({
  perSecond: z.number().positive(),
  burst: z.number().min(1),
});

export const settingsSchema = z.strictObject({
  /** From the create or start call to `started`. */
  startDelayMs: duration,
  /** From `stopping` to `stopped`. */
  stopDelayMs: duration,
  /** From `destroying` to `destroyed`; the Machine holds its name until then. */
  destroyDelayMs: duration,
  /**
   * For how long GET still answers a destroyed Machine with 200 and `destroyed` before it is 404. Both
   * were seen in production: kilo-org/cloud pull request 1664 says "briefly".
   */
  getAfterDestroyMs: milliseconds,
  /** Added to every call, half before its effect and half after. */
  latencyMs: duration,
  /** null turns the limits off. */
  rateLimits: z.strictObject({ get: rateLimitSchema, other: rateLimitSchema }).nullable(),
  /**
   * A wait for a state that is not scheduled to come: hold the call until its timeout, answer that 408
   * at once, or 409 at once, as ampbase-io/terraform-provider-fly saw it.
   */
  waitForUnreachable: z.enum(["until-timeout", "at-once", "409-at-once"]),
  /** The body of refusals; that of a held lease always has `message`. */
  refusalForm: z.enum(["error", "message", "empty"]),
  ...appSettings,
  ...readSettings,
  ...lifecycleSettings,
});

export type FlySettings = z.infer<typeof settingsSchema>;

/** A part of the settings, as the control endpoint takes it. */
export const settingsPatchSchema = settingsSchema.partial();

export const DEFAULT_SETTINGS: FlySettings = {
  startDelayMs: 300,
  stopDelayMs: 100,
  destroyDelayMs: 100,
  getAfterDestroyMs: 0,
  latencyMs: 0,
  rateLimits: FLY_RATE_LIMITS,
  waitForUnreachable: "until-timeout",
  refusalForm: "error",
  ...APP_DEFAULTS,
  ...READ_DEFAULTS,
  ...LIFECYCLE_DEFAULTS,
};
