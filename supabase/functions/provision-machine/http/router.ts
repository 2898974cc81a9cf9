/** Finds the route of a request. */
import { AppError } from "../errors.ts";
import type { Handler, OpenContext, RequestContext } from "./context.ts";

interface Path {
  method: "GET" | "POST" | "DELETE";
  /** Below the function's own path; `{machineId}` stands for one segment. */
  path: string;
}

/** A route for callers who identify themselves. */
export interface GuardedRoute extends Path {
  access: "user-or-service" | "service";
  load: () => Promise<Handler<RequestContext>>;
}

/** A route for anyone, which has to work when nothing else does. */
export interface OpenRoute extends Path {
  access: "anyone";
  load: () => Promise<Handler<OpenContext>>;
}

export type Route = GuardedRoute | OpenRoute;

export interface Match {
  route: Route;
  parameters: Record<string, string>;
}

/** Throws {@link AppError} `not_found` or `method_not_allowed`. */
export function matchRoute(routes: readonly Route[], method: string, pathname: string): Match {
  const path = functionPath(pathname);
  const candidates = routes.flatMap((route) => {
    const parameters = matchPath(route.path, path);
    return parameters ? [{ route, parameters }] : [];
  });
  // A literal path wins over a parameter: /health is never a machine's name.
  const literal = candidates.filter(({ parameters }) => Object.keys(parameters).length === 0);
  const matches = literal.length > 0 ? literal : candidates;
  if (matches.length === 0) {
    throw new AppError("not_found", "There is nothing at this path", {
      hint: "See docs/API.md for the routes of provision-machine",
    });
  }
  const match = matches.find(({ route }) => route.method === method);
  if (match) return match;
  const allow = [...new Set(matches.map(({ route }) => route.method)), "OPTIONS"].join(", ");
  throw new AppError("method_not_allowed", `${method} is not allowed here`, {
    hint: `Allowed: ${allow}`,
    headers: { allow },
  });
}

/** The gateway passes `/provision-machine/…`; other hosts strip the function's name. */
function functionPath(pathname: string): string {
  const stripped = pathname.replace(/^(\/functions\/v1)?\/provision-machine(?=\/|$)/, "");
  return stripped.replace(/\/+$/, "") || "/";
}

function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, segment] of wanted.entries()) {
    const value = given[index] ?? "";
    const name = segment.match(/^\{(\w+)\}$/)?.[1];
    if (name === undefined ? segment !== value : value === "") return undefined;
    if (name !== undefined) parameters[name] = value;
  }
  return parameters;
}
