/** Settings of apps and their addresses. */
import { z } from "zod";
import { duration, milliseconds } from "./duration.ts";

export const appSettings = {
  /**
   * How long a new app is 404 or 401 for GET, and 404 for everything else. fly-go (`flaps_apps.go`,
   * WaitForApp) polls for up to a minute.
   */
  newAppDelayMs: duration,
  /** How long a new app is missing from `GET /v1/apps`. Not published. */
  newAppListDelayMs: duration,
  /** From the 202 of a deletion until GET is 404. Not published. */
  appDeleteDelayMs: duration,
  /** For how long after a deletion the name is still taken. Not published. */
  deletedAppNameHeldMs: milliseconds,
  /** For how long an `idempotency_key` is remembered; it outlives the app. Not published. */
  appIdempotencyMs: milliseconds,
  /** How a taken app name is refused: the names of `APP_NAME_TAKEN` in api/errors.ts. */
  appNameTaken: z.enum(["code", "text", "constraint-code", "constraint-text", "409"]),
  /** How GET answers for an app of an organization that the token does not see. */
  foreignApp: z.union([z.literal(403), z.literal(404)]),
  /** How long a new address is missing from the list of its app's addresses. Not published. */
  newAddressDelayMs: duration,
  /** What a second `shared_v4` of an app is answered with: a refusal, or the first address again. */
  repeatedSharedV4: z.enum(["409", "422", "same"]),
  /** What a second `v6` of an app is answered with; hexclave saw a second address. */
  repeatedV6: z.enum(["409", "422", "same", "second"]),
  /** What the rate limit of address calls counts by. Not published. */
  addressLimitPer: z.enum(["organization", "app"]),
};

export const APP_DEFAULTS: z.infer<z.ZodObject<typeof appSettings>> = {
  newAppDelayMs: { minMs: 100, maxMs: 1000 },
  newAppListDelayMs: 5000,
  appDeleteDelayMs: 500,
  deletedAppNameHeldMs: 60_000,
  appIdempotencyMs: 60_000,
  appNameTaken: "code",
  foreignApp: 403,
  newAddressDelayMs: 500,
  repeatedSharedV4: "422",
  repeatedV6: "second",
  addressLimitPer: "organization",
};
