/** Which action of the API a method and a path stand for. */
import type { Action } from "../world/types.ts";

/** What a path under /v1 is about. */
export interface Route {
  action: Action;
  app: string | null;
  machineId: string | null;
  metadataKey: string | null;
}

/** Endpoints that the Machines API has and this simulator does not model. */
const UNMODELLED =
  /^\/v1\/apps\/[^/]+\/(?:machines\/[^/]+\/(?:restart|suspend|signal|exec|lease|cordon|uncordon|ps|versions|memory|signal)|volumes|secrets|secretkeys|certificates|ip_assignments|deploy_token)(?:\/|$)|^\/v1\/(?:tokens|platform\/placements|orgs)(?:\/|$)/;

const MACHINE_VERBS: Readonly<Record<string, Action>> = {
  "GET wait": "wait",
  "POST start": "start",
  "POST stop": "stop",
  "GET events": "events",
  "GET metadata": "metadata",
};

const MACHINE_METHODS: Readonly<Record<string, Action>> = {
  GET: "get",
  DELETE: "delete",
  POST: "unmodelled",
};

/** Reads a method and a path (without the query). */
export function matchRoute(method: string, path: string): Route {
  const [root, apps, app = null, machines, machineId = null, verb, key = null, ...rest] = path
    .split("/").slice(1).map(decode);
  const at = (action: Action): Route => ({ action, app, machineId, metadataKey: key });
  const nowhere: Route = { action: "unknown", app: null, machineId: null, metadataKey: null };
  if (UNMODELLED.test(path)) return at("unmodelled");
  if (path === "/v1/platform/regions" && method === "GET") return { ...nowhere, action: "regions" };
  if (root !== "v1" || apps !== "apps" || rest.length > 0) return nowhere;
  if (app === null) return ["GET", "POST"].includes(method) ? at("app") : nowhere;
  if (machines === undefined) return ["GET", "DELETE"].includes(method) ? at("app") : nowhere;
  if (machines !== "machines") return nowhere;
  if (machineId === null || machineId === "") {
    if (method === "GET") return { ...at("list"), machineId: null };
    return method === "POST" ? { ...at("create"), machineId: null } : nowhere;
  }
  if (verb === undefined || verb === "") return at(MACHINE_METHODS[method] ?? "unknown");
  if (key !== null) {
    return verb === "metadata" && ["POST", "DELETE"].includes(method) ? at("metadata") : nowhere;
  }
  return at(MACHINE_VERBS[`${method} ${verb}`] ?? "unknown");
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
