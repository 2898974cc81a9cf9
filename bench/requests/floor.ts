/**
 * The floor: nothing but the calls that a provisioning cannot do without, sent with `fetch` and
 * awaited in the order that crash safety demands. It checks nothing, logs nothing and recovers from
 * nothing: do not run it.
 */
const env = (name: string) => Deno.env.get(name) ?? "";
const supabaseUrl = env("SUPABASE_URL");
const flyUrl = `${env("FLY_API_HOSTNAME")}/v1/apps`;
/** With it each machine gets an app of its own, and public addresses unless there is a router. */
const orgSlug = env("FLY_ORG_SLUG");
const addressTypes = orgSlug && !env("FLY_ROUTER_URL") ? ["shared_v4", "v6"] : [];
const image = env("DOCKER_IMAGE");
const secretKey = JSON.parse(env("SUPABASE_SECRET_KEYS")).default;
const toSupabase = { "content-type": "application/json", apikey: secretKey };
const toFly = {
  "content-type": "application/json",
  authorization: `Bearer ${env("FLY_API_TOKEN")}`,
};

Deno.serve(async (request) => {
  await request.json();
  const machineId = `machine-${crypto.randomUUID()}`;
  const app = orgSlug ? machineId : env("FLY_APP_NAME");
  const { machine: row } = await rpc("claim_machine", {
    p_machine_id: machineId,
    p_region: "iad",
    p_request_id: crypto.randomUUID(),
    p_own_app: orgSlug !== "",
  });
  if (orgSlug) await post("", { app_name: app, org_slug: orgSlug, network: app });
  const [fly] = await Promise.all([
    post(`/${app}/machines`, {
      name: machineId,
      region: "iad",
      config: {
        image,
        guest: { cpu_kind: "shared", cpus: 2, memory_mb: 512 },
        services: [{
          protocol: "tcp",
          internal_port: 8080,
          ports: [{ port: 80, handlers: ["http"] }, { port: 443, handlers: ["tls", "http"] }],
        }],
        metadata: { cloud_machine_id: row.id },
      },
    }),
    ...addressTypes.map((type) => post(`/${app}/ip_assignments`, { type })),
  ]);
  const machine = { p_id: row.id, p_fly_machine_id: fly.id, p_region: fly.region };
  await Promise.all([
    rpc("record_fly_machine", machine),
    fetch(`${flyUrl}/${app}/machines/${fly.id}/wait?state=started&timeout=60`, { headers: toFly })
      .then((response) => response.json()),
  ]);
  const { machine: running } = await rpc("mark_machine_running", machine);
  return Response.json({
    machineId,
    websocketUrl: running.websocket_url,
    status: running.status,
    region: running.region,
    flyMachineId: running.fly_machine_id,
  });
});

async function post(path: string, body: unknown) {
  const response = await fetch(`${flyUrl}${path}`, {
    method: "POST",
    headers: toFly,
    body: JSON.stringify(body),
  });
  return await response.json();
}

async function rpc(name: string, args: Record<string, unknown>) {
  const response = await fetch(`${supabaseUrl}/rest/v1/rpc/${name}`, {
    method: "POST",
    headers: toSupabase,
    body: JSON.stringify(args),
  });
  return await response.json();
}
