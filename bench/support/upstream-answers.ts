/**
 * Supabase and Fly.io reduced to the answers of a success. They remember nothing and enforce nothing:
 * to see what happens, use the local stack and the simulator instead.
 */
import type { JWK } from "jose";

type Answer = [kind: string, body: unknown];

/** What is answered to a call, and what the call was: `create`, `claim_machine`, … */
export interface UpstreamAnswer {
  service: "supabase" | "fly";
  kind: string;
  response: Response;
}

/** @param jwk public key of the users' tokens */
export async function answerOf(request: Request, jwk: JWK): Promise<UpstreamAnswer> {
  const { pathname } = new URL(request.url);
  const text = request.method === "GET" ? "" : await request.text();
  const body = text === "" ? {} : JSON.parse(text);
  const service = pathname.startsWith("/v1/") ? "fly" : "supabase";
  const [kind, answer] = service === "fly"
    ? fly(request.method, pathname, body)
    : supabase(request.method, pathname, body, request.headers, jwk);
  const response = answer === undefined
    ? Response.json({ error: `no ${request.method} ${pathname} here` }, { status: 404 })
    : Response.json(answer, { headers: { "fly-request-id": "01JBENCH0000000000000000-iad" } });
  return { service, kind, response };
}

function supabase(
  method: string,
  pathname: string,
  body: Record<string, unknown>,
  headers: Headers,
  jwk: JWK,
): Answer {
  const rpc = /^\/rest\/v1\/rpc\/(\w+)$/.exec(pathname)?.[1];
  if (rpc === "claim_machine") {
    return [rpc, { outcome: "claimed", machine: row(crypto.randomUUID(), body), wait_ms: 0 }];
  }
  if (rpc === "record_fly_machine") {
    return [rpc, { outcome: "applied", machine: row(String(body["p_id"]), body) }];
  }
  if (rpc === "mark_machine_running") {
    return [rpc, {
      outcome: "applied",
      machine: { ...row(String(body["p_id"]), body), status: "running", reconcile_at: null },
    }];
  }
  if (pathname === "/rest/v1/cloud_machines") {
    if (method === "GET") return ["select", []];
    return [method === "POST" ? "insert" : "update", row(crypto.randomUUID(), body)];
  }
  if (pathname === "/rest/v1/machine_events") return ["insert event", null];
  if (pathname === "/auth/v1/.well-known/jwks.json") return ["jwks", { keys: [jwk] }];
  if (pathname === "/auth/v1/user") {
    const claims = headers.get("authorization")?.split(".")[1] ?? "";
    return ["get user", { id: JSON.parse(atob(claims)).sub, aud: "authenticated" }];
  }
  return ["unknown", undefined];
}

/** A row as PostgREST answers it, from what the call says. */
function row(id: string, args: Record<string, unknown>): Record<string, unknown> {
  const inAMinute = new Date(Date.now() + 60_000).toISOString();
  const machineId = args["p_machine_id"] ?? args["machine_id"] ?? "machine-bench";
  return {
    id,
    user_id: args["p_user_id"] ?? args["user_id"] ?? crypto.randomUUID(),
    machine_id: machineId,
    fly_machine_id: args["p_fly_machine_id"] ?? null,
    fly_app_name: args["p_own_app"] === true ? machineId : "bench-app",
    create_bucket: args["p_own_app"] === true ? "org:bench-org" : "bench-app",
    region: args["p_region"] ?? "iad",
    cpu_priority: "normal",
    status: "provisioning",
    websocket_url: `wss://bench-app.fly.dev/machines/${machineId}`,
    error_code: null,
    error_message: null,
    idempotency_key: null,
    request_hash: args["p_request_hash"] ?? "",
    request_id: args["p_request_id"] ?? "",
    deadline_at: inAMinute,
    reconcile_at: inAMinute,
    destroy_requested_at: null,
    missing_since: null,
    failed_since: null,
    created_at: new Date().toISOString(),
    updated_at: new Date().toISOString(),
    provisioned_at: null,
  };
}

function fly(method: string, pathname: string, body: Record<string, unknown>): Answer {
  if (pathname === "/v1/apps") return ["create app", { id: "bench", created_at: 0 }];
  if (pathname.endsWith("/ip_assignments")) {
    if (method === "GET") return ["list addresses", { ips: [] }];
    const shared = body["type"] === "shared_v4";
    const ip = shared ? "66.241.124.1" : "2a09:8280:1::1:1";
    return ["assign address", { ip, shared, region: "", created_at: new Date().toISOString() }];
  }
  const [id, verb] = /\/machines(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(pathname)?.slice(1) ?? [];
  if (verb === "wait") return ["wait", { ok: true }];
  if (id !== undefined) return ["get", machine(id, "started", body)];
  if (method === "GET") return ["list", []];
  return ["create", machine(crypto.randomUUID().slice(0, 14).replace("-", ""), "created", body)];
}

/** A machine with the fields that Fly.io answers. */
function machine(id: string, state: string, { name, region, config }: Record<string, unknown>) {
  const now = new Date().toISOString();
  return {
    id,
    name,
    state,
    region,
    image_ref: { registry: "registry.fly.io", repository: "bench-app", tag: "latest" },
    instance_id: "01JBENCHINSTANCE0000000000",
    private_ip: "fdaa:0:18:a7b:7d:f066:e83b:2",
    config,
    created_at: now,
    updated_at: now,
    events: [{
      id: "01JBENCHEVENT",
      type: "launch",
      status: "created",
      source: "user",
      timestamp: 0,
    }],
  };
}
