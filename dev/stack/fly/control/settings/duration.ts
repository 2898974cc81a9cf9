/** How a setting says how long something takes. */
import { z } from "zod";
import type { Random } from "../../world/random.ts";

export const milliseconds = z.number().min(0);

/** Milliseconds, or a range from which each use draws. */
export const duration = z.union([
  milliseconds,
  z.strictObject({ minMs: milliseconds, maxMs: milliseconds })
    .refine(({ minMs, maxMs }) => minMs <= maxMs, { error: "minMs must not exceed maxMs" }),
]);

/** Draws a number of milliseconds; a fixed duration uses no randomness. */
export function draw(duration: Duration, random: Random): number {
  if (typeof duration === "number") return duration;
  return duration.minMs + Math.round(random() * (duration.maxMs - duration.minMs));
}

export type Duration = z.infer<typeof duration>;
