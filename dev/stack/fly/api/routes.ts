/** Which action of the API a method and a path stand for. */
import type { Action } from "../world/types.ts";

export interface Route {
  action: Action;
  app: string | null;
  machineId: string | null;
  metadataKey: string | null;
  /** The slug in `/orgs/{slug}/…`. */
  organization: string | null;
  /** The address in `/ip_assignments/{ip}`. */
  ip: string | null;
}

/** Actions that are about an organization as a whole. */
export const ORGANIZATION_ACTIONS: ReadonlySet<Action> = new Set([
  "organization-machines",
  "placements",
  "token",
]);

const MACHINE = "/apps/:app/machines/:machineId";

/** Methods, a path with parameters, and the action. Any other method of a path is 404. */
const ROUTES: readonly (readonly [methods: string, path: string, action: Action])[] = [
  ["GET", "/platform/regions", "regions"],
  ["POST", "/platform/placements", "placements"],
  ["GET", "/tokens/current", "token"],
  ["GET", "/orgs/:organization/machines", "organization-machines"],
  ["GET POST", "/apps", "app"],
  ["GET DELETE", "/apps/:app", "app"],
  ["POST", "/apps/:app/deploy_token", "deploy-token"],
  ["GET POST", "/apps/:app/ip_assignments", "addresses"],
  ["DELETE", "/apps/:app/ip_assignments/:ip", "addresses"],
  ["GET", "/apps/:app/machines", "list"],
  ["POST", "/apps/:app/machines", "create"],
  ["GET", MACHINE, "get"],
  ["POST", MACHINE, "update"],
  ["DELETE", MACHINE, "delete"],
  ["GET", `${MACHINE}/wait`, "wait"],
  ["POST", `${MACHINE}/start`, "start"],
  ["POST", `${MACHINE}/stop`, "stop"],
  ["POST", `${MACHINE}/suspend`, "suspend"],
  ["POST", `${MACHINE}/restart`, "restart"],
  ["POST", `${MACHINE}/cordon`, "cordon"],
  ["POST", `${MACHINE}/uncordon`, "uncordon"],
  ["GET POST DELETE", `${MACHINE}/lease`, "lease"],
  ["GET", `${MACHINE}/events`, "events"],
  ["GET PUT PATCH", `${MACHINE}/metadata`, "metadata"],
  ["GET POST DELETE", `${MACHINE}/metadata/:metadataKey`, "metadata"],
];

/** Endpoints that the Machines API has and this simulator does not model. */
const UNMODELLED =
  /^(\/apps\/[^/]+\/(machines\/[^/]+\/(signal|exec|ps|versions|memory)|volumes|secrets|secretkeys|certificates)|\/(tokens|platform|orgs))(\/|$)/;

const NOWHERE: Route = {
  action: "unknown",
  app: null,
  machineId: null,
  metadataKey: null,
  organization: null,
  ip: null,
};

/** Reads a method and a path (without the query). */
export function matchRoute(method: string, path: string): Route {
  if (!path.startsWith("/v1/")) return NOWHERE;
  const given = path.slice("/v1/".length).replace(/\/$/, "").split("/").map(decode);
  let known = false;
  for (const [methods, pattern, action] of ROUTES) {
    const params = match(pattern.slice(1).split("/"), given);
    if (params === null) continue;
    known = true;
    if (methods.split(" ").includes(method)) return { ...NOWHERE, ...params, action };
  }
  if (known || !UNMODELLED.test(path.slice("/v1".length))) return NOWHERE;
  const [root, app = null] = given;
  return { ...NOWHERE, action: "unmodelled", app: root === "apps" ? app : null };
}

function match(pattern: readonly string[], given: readonly string[]): Partial<Route> | null {
  if (pattern.length !== given.length) return null;
  const params: Record<string, string> = {};
  for (const [index, segment] of pattern.entries()) {
    const value = given[index] ?? "";
    if (segment.startsWith(":")) params[segment.slice(1)] = value;
    else if (segment !== value) return null;
  }
  return params;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (error) {
    // A stray percent sign is no escape: the segment means itself.
    if (error instanceof URIError) return segment;
    throw error;
  }
}
