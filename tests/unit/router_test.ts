/** The router: which route a method and a path lead to, under each prefix. */
import assert from "node:assert/strict";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";
import { matchRoute, type Route } from "../../supabase/functions/provision-machine/http/router.ts";
import { ROUTES } from "../../supabase/functions/provision-machine/routes.ts";

/** `METHOD path` as the platform's gateway passes it, and the route that it leads to. */
const FOUND: [call: string, route: string, parameters?: Record<string, string>][] = [
  ["POST /provision-machine", "POST /"],
  ["POST /provision-machine/", "POST /"],
  ["POST /functions/v1/provision-machine", "POST /"],
  ["POST /", "POST /"],
  ["POST ", "POST /"],
  ["GET /provision-machine/health", "GET /health"],
  ["GET /provision-machine/health//", "GET /health"],
  ["GET /health", "GET /health"],
  ["GET /provision-machine/openapi.json", "GET /openapi.json"],
  ["GET /functions/v1/provision-machine/metrics", "GET /metrics"],
  ["POST /provision-machine/reconcile", "POST /reconcile"],
  ["DELETE /provision-machine/m-1", "DELETE /{machineId}", { machineId: "m-1" }],
  ["DELETE /provision-machine-2", "DELETE /{machineId}", { machineId: "provision-machine-2" }],
  ["DELETE /provision-machine/a%2Fb", "DELETE /{machineId}", { machineId: "a%2Fb" }],
  ["DELETE /provision-machine/__proto__", "DELETE /{machineId}", { machineId: "__proto__" }],
];

const REFUSED: [call: string, code: string, allow?: string][] = [
  ["GET /provision-machine", "method_not_allowed", "POST, OPTIONS"],
  ["DELETE /provision-machine", "method_not_allowed", "POST, OPTIONS"],
  ["post /provision-machine", "method_not_allowed", "POST, OPTIONS"],
  ["POST /provision-machine/m-1", "method_not_allowed", "DELETE, OPTIONS"],
  // A literal path is never a machine's name.
  ["DELETE /provision-machine/health", "method_not_allowed", "GET, OPTIONS"],
  ["GET /provision-machine/reconcile", "method_not_allowed", "POST, OPTIONS"],
  ["HEAD /provision-machine/health", "method_not_allowed", "GET, OPTIONS"],
  ["GET /provision-machine/health/more", "not_found"],
  ["DELETE /provision-machine//m-1", "not_found"],
  ["POST /provision-machine/provision-machine/x", "not_found"],
  ["GET /other/v1/provision-machine", "not_found"],
];

const split = (call: string) => {
  const [method = "", path = ""] = call.split(" ");
  return { method, path };
};

Deno.test("router: each route is found under every prefix", () => {
  for (const [call, expected, parameters = {}] of FOUND) {
    const { method, path } = split(call);
    const { route, parameters: found } = matchRoute(ROUTES, method, path);
    assert.equal(`${route.method} ${route.path}`, expected, call);
    assert.deepEqual({ ...found }, parameters, call);
  }
});

Deno.test("router: what leads nowhere says why, and what is allowed", () => {
  for (const [call, code, allow] of REFUSED) {
    const { method, path } = split(call);
    assert.throws(() => matchRoute(ROUTES, method, path), (error) => {
      assert.ok(error instanceof AppError, call);
      assert.equal(error.code, code, call);
      assert.deepEqual(error.headers, allow === undefined ? {} : { allow }, call);
      if (allow) assert.equal(error.hint, `Allowed: ${allow}`);
      return true;
    });
  }
});

Deno.test("router: several methods of one path are all allowed, each named once", () => {
  const load = () => Promise.reject(new Error("not loaded here"));
  const access = "service";
  const routes: Route[] = [
    { method: "GET", path: "/a/{id}", access, load },
    { method: "DELETE", path: "/a/{id}", access, load },
    { method: "GET", path: "/a/{name}", access, load },
    { method: "GET", path: "/a/{id}/b", access, load },
  ];
  assert.equal(matchRoute(routes, "DELETE", "/a/1").route, routes[1]);
  // A segment is never empty.
  assert.throws(() => matchRoute(routes, "GET", "/a//b"), { code: "not_found" });
  assert.throws(
    () => matchRoute(routes, "POST", "/a/1"),
    (error) => error instanceof AppError && error.headers["allow"] === "GET, DELETE, OPTIONS",
  );
});

Deno.test("router: who may call each route", () => {
  assert.deepEqual(
    ROUTES.map(({ method, path, access }) => `${method} ${path}: ${access}`),
    [
      "POST /: user-or-service",
      "DELETE /{machineId}: user-or-service",
      "POST /{machineId}/start: user-or-service",
      "POST /{machineId}/stop: user-or-service",
      "POST /{machineId}/suspend: user-or-service",
      "POST /{machineId}/connect: user-or-service",
      "GET /health: anyone",
      "GET /openapi.json: anyone",
      "GET /metrics: service",
      "POST /reconcile: service",
    ],
  );
});
