/** Where a call is admitted: path, token, app and rate limit, in the order in which Fly.io checks them. */
import { refusal, type Token } from "./authorization.ts";
import { appNotFound, notModelled, rateLimited, unknownPath } from "./errors.ts";
import type { ApiCall } from "./handler.ts";
import type { RateLimiter } from "./rate-limit.ts";

/** What a call is admitted by. */
export interface Admission {
  /** The value of the `Authorization` header. */
  authorization: string | null;
  tokens: readonly Token[];
  limiter: RateLimiter;
  path: string;
}

/** @throws {FlyRefusal} when Fly.io would refuse the call before looking at what it asks for. */
export function admit({ world, method, route }: ApiCall, admission: Admission): void {
  if (route.action === "unknown") throw unknownPath();
  if (route.action === "regions") return;
  const refused = refusal(admission.authorization, admission.tokens, route.app);
  if (refused?.status === 401) throw refused;
  if (route.app !== null && world.app(route.app) === undefined) throw appNotFound();
  if (refused) throw refused;
  if (route.action === "unmodelled") throw notModelled(method, admission.path);
  const { rateLimits } = world.settings;
  const subject = route.machineId ?? route.app ?? "";
  if (
    rateLimits !== null &&
    !admission.limiter.take(rateLimits, route.action, method, subject, world.now())
  ) {
    throw rateLimited();
  }
}
