/** Where a call is admitted: path, token, app and rate limit, in the order in which Fly.io checks them. */
import type { App } from "../world/apps.ts";
import { Access } from "../world/tokens.ts";
import { authenticate } from "./authorization.ts";
import {
  appNotFound,
  FlyRefusal,
  forbidden,
  notModelled,
  rateLimited,
  unauthorized,
  unknownPath,
} from "./errors.ts";
import type { ApiCall } from "./handler.ts";
import type { RateLimiter } from "./rate-limit.ts";
import { ORGANIZATION_ACTIONS } from "./routes.ts";

/** What a call is admitted by. */
export interface Admission {
  /** The value of the `Authorization` header. */
  authorization: string | null;
  limiter: RateLimiter;
  path: string;
}

/**
 * What the call's tokens reach.
 *
 * @throws {FlyRefusal} when Fly.io would refuse the call before looking at what it asks for.
 */
export function admit(call: ApiCall, admission: Admission): Access {
  const { world, method, route } = call;
  if (route.action === "unknown") throw unknownPath();
  if (route.action === "regions") return new Access([]);
  const access = authenticate(admission.authorization, world.tokens, world.now());
  if (route.app !== null) admitToApp(call, access, route.app);
  if (route.action === "unmodelled") throw notModelled(method, admission.path);
  limitRate(call, admission.limiter, access);
  return access;
}

/**
 * An app that exists but that this token may not see is 403, and one that does not exist is 404
 * (fly-go, flaps/flaps_apps.go, AppNameAvailable).
 */
function admitToApp(call: ApiCall, access: Access, name: string): void {
  const { world, method, route } = call;
  const now = world.now();
  const app = world.app(name);
  if (app === undefined) throw appNotFound();
  // Deleting an app needs a token of the organization (docs, security/tokens), and so, being no less,
  // does making a token.
  const whole = route.action === "deploy-token" || (route.action === "app" && method === "DELETE");
  if (!access.reachesApp(app, { write: method !== "GET", whole })) {
    throw world.settings.foreignApp === 404 && !access.reachesApp(app, { write: false })
      ? appNotFound()
      : forbidden();
  }
  if (now < app.readableAtMs) throw notYetThere(call);
  if (app.deletion !== undefined && !readsApp(call)) throw appNotFound();
}

/** A new app: GET is 404 or 401 (fly-go), everything else 404 in one of the texts that gram recorded. */
function notYetThere(call: ApiCall): FlyRefusal {
  return readsApp(call) ? call.world.pick(appNotFound, unauthorized)() : new FlyRefusal(
    404,
    call.world.pick("app not found", "failed to get app", "sql: no rows in result set"),
  );
}

function readsApp({ method, route }: ApiCall): boolean {
  return route.action === "app" && method === "GET";
}

function limitRate({ world, method, route }: ApiCall, limiter: RateLimiter, access: Access): void {
  const { rateLimits, addressLimitPer } = world.settings;
  if (rateLimits === null) return;
  const perOrganization = route.app === null || ORGANIZATION_ACTIONS.has(route.action) ||
    (route.action === "addresses" && addressLimitPer === "organization");
  const subject = perOrganization ? access.organization : route.machineId ?? route.app ?? "";
  const now = world.now();
  if (!limiter.take(rateLimits, route.action, method, subject, now)) throw rateLimited();
  const deletesApp = route.action === "app" && method === "DELETE";
  if (deletesApp && !limiter.takeAppDeletion(access.organization, now)) throw rateLimited();
}

/** The app of the call's path, which admission found. */
export function appOf({ world, route }: ApiCall): App {
  const app = world.app(route.app ?? "");
  if (app === undefined) throw appNotFound();
  return app;
}
