/** Settings of reads: how far they are behind, and what they leave out. */
import { z } from "zod";
import { duration } from "./duration.ts";

const probability = z.number().min(0).max(1);

export const readSettings = {
  /**
   * How far GET and wait are behind, drawn once for each Machine. flyctl repeats a 404 right after a
   * create (superfly/flyctl pull request 4618).
   */
  getDelayMs: duration,
  /** How far the list of an app's Machines is behind; fly-go repeats it for 5 s. */
  listDelayMs: duration,
  /** How far the list of an organization's Machines is behind: "changes take time to arrive" (OpenAPI). */
  organizationListDelayMs: duration,
  /** How likely a list, 200 as ever, leaves a Machine out (fly.io/infra-log, 2026-04-28). */
  listOmits: probability,
  /** How likely GET or wait is 404 for a Machine that exists. */
  getOmits: probability,
  /** The longest page of an organization's list: `limit` is advisory (OpenAPI). */
  organizationPageMax: z.int().min(1).max(1000),
  /** Whether an empty page comes between two pages: "go by next_cursor" (OpenAPI). */
  emptyPages: z.boolean(),
};

export const READ_DEFAULTS: z.infer<z.ZodObject<typeof readSettings>> = {
  getDelayMs: 0,
  listDelayMs: 0,
  organizationListDelayMs: 5000,
  listOmits: 0,
  getOmits: 0,
  organizationPageMax: 100,
  emptyPages: true,
};
