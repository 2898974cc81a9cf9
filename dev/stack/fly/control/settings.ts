/** How fast the simulated Fly.io is and what it limits. */
import { z } from "zod";
import { FLY_RATE_LIMITS } from "../api/rate-limit.ts";
import type { Random } from "../world/random.ts";

const milliseconds = z.number().min(0);

/** Milliseconds, or a range from which each use draws. */
const durationSchema = z.union([
  milliseconds,
  z.strictObject({ minMs: milliseconds, maxMs: milliseconds })
    .refine(({ minMs, maxMs }) => minMs <= maxMs, { error: "minMs must not exceed maxMs" }),
]);

const rateLimitSchema = z.strictObject({
  perSecond: z.number().positive(),
  burst: z.number().min(1),
});

export const settingsSchema = z.strictObject({
  /** From the create or start call to `started`. */
  startDelayMs: durationSchema,
  /** From `stopping` to `stopped`. */
  stopDelayMs: durationSchema,
  /** From `destroying` to `destroyed`; the Machine holds its name until then. */
  destroyDelayMs: durationSchema,
  /**
   * For how long GET still answers a destroyed Machine with 200 and `destroyed` before it is 404. Both
   * were seen in production: kilo-org/cloud pull request 1664 says "briefly".
   */
  getAfterDestroyMs: milliseconds,
  /** Added to every call, half before its effect and half after. */
  latencyMs: durationSchema,
  /** null turns the limits off. */
  rateLimits: z.strictObject({ get: rateLimitSchema, other: rateLimitSchema }).nullable(),
  /**
   * A wait for a state that is not scheduled to come: hold the call until its timeout (the facts name
   * only 408 "when it ran out"), or answer that 408 at once.
   */
  waitForUnreachable: z.enum(["until-timeout", "at-once"]),
});

export type FlySettings = z.infer<typeof settingsSchema>;
export type Duration = z.infer<typeof durationSchema>;

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
};

/** Draws a number of milliseconds; a fixed duration uses no randomness. */
export function draw(duration: Duration, random: Random): number {
  if (typeof duration === "number") return duration;
  return duration.minMs + Math.round(random() * (duration.maxMs - duration.minMs));
}
