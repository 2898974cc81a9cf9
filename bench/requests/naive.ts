// deno-lint-ignore-file no-console -- logs as the version that it stands for did
/**
 * The usual first version, in the shape that this project replaces: a client for each request, a
 * check before the insert, a list before the create, one call after the other, a log line per step.
 * It is what the benchmark measures against; do not deploy it.
 */
import { createClient } from "@supabase/supabase-js";

const CORS_HEADERS = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Allow-Headers": "authorization, x-client-info, apikey, content-type",
};

Deno.serve(async (req) => {
  if (req.method === "OPTIONS") return new Response("ok", { headers: CORS_HEADERS });
  const timestamp = new Date().toISOString();
  console.log(`[${timestamp}] ========================================`);
  console.log(`[${timestamp}] provision-machine invoked`);
  console.log(`[${timestamp}] Method: ${req.method}`);
  try {
    const supabase = createClient(
      Deno.env.get("SUPABASE_URL") ?? "",
      JSON.parse(Deno.env.get("SUPABASE_SECRET_KEYS") ?? "{}").default,
      { auth: { persistSession: false, autoRefreshToken: false } },
    );
    const token = req.headers.get("Authorization")?.replace("Bearer ", "") ?? "";
    const { data: { user }, error: userError } = await supabase.auth.getUser(token);
    if (userError || !user) throw new Error("Unauthorized");
    const { region = "iad", cpuPriority = "normal" } = await req.json();
    const userId = user.id;
    console.log(
      `[${timestamp}] Request: userId=${userId}, region=${region}, cpuPriority=${cpuPriority}`,
    );

    const flyToken = Deno.env.get("FLY_API_TOKEN");
    const flyAppName = Deno.env.get("FLY_APP_NAME");
    const dockerImage = Deno.env.get("DOCKER_IMAGE");
    console.log(`[${timestamp}] Environment check:`);
    console.log(
      `  - FLY_API_TOKEN: ${flyToken ? `EXISTS (length: ${flyToken.length})` : "MISSING ❌"}`,
    );
    console.log(`  - FLY_APP_NAME: ${flyAppName}`);
    console.log(`  - DOCKER_IMAGE: ${dockerImage}`);

    const { data: existing, error: selectError } = await supabase.from("cloud_machines")
      .select("*").eq("user_id", userId).in("status", ["provisioning", "running"]);
    if (selectError) throw selectError;
    if (existing.length > 0) {
      console.log(`[${timestamp}] User already has ${existing.length} machine(s)`);
      return Response.json({ error: "Limit reached" }, { status: 409, headers: CORS_HEADERS });
    }
    const machineId = `machine-${crypto.randomUUID()}`;
    const { data: machine, error: insertError } = await supabase.from("cloud_machines").insert({
      user_id: userId,
      machine_id: machineId,
      region,
      cpu_priority: cpuPriority,
      status: "provisioning",
      websocket_url: `wss://${flyAppName}.fly.dev/machines/${machineId}`,
    }).select().single();
    if (insertError) throw insertError;
    console.log(`[${timestamp}] Machine record created:`, machine.machine_id);

    const flyUrl = `${Deno.env.get("FLY_API_HOSTNAME")}/v1/apps/${flyAppName}/machines`;
    const flyHeaders = {
      "Authorization": `Bearer ${flyToken}`,
      "Content-Type": "application/json",
    };
    const listResponse = await fetch(flyUrl, { headers: flyHeaders });
    const machines = await listResponse.json();
    console.log(`[${timestamp}] Existing Fly machines: ${machines.length}`);

    const requestBody = {
      name: machine.machine_id,
      region,
      config: {
        image: dockerImage,
        guest: { cpu_kind: "shared", cpus: 2, memory_mb: 512 },
        env: { USER_ID: userId, MACHINE_ID: machine.machine_id, CPU_PRIORITY: cpuPriority },
        services: [{
          protocol: "tcp",
          internal_port: 8080,
          ports: [{ port: 80, handlers: ["http"] }, { port: 443, handlers: ["tls", "http"] }],
        }],
        restart: { policy: "on-failure", max_retries: 3 },
        auto_destroy: false,
      },
    };
    console.log(`[${timestamp}] Calling Fly.io API to create machine in ${region}...`);
    console.log(`[${timestamp}]   App: ${flyAppName}`);
    console.log(`[${timestamp}]   Machine name: ${machine.machine_id}`);
    console.log(`[${timestamp}]   Image: ${dockerImage}`);
    console.log(`[${timestamp}] Fly.io API request body:`, JSON.stringify(requestBody, null, 2));
    const flyResponse = await fetch(flyUrl, {
      method: "POST",
      headers: flyHeaders,
      body: JSON.stringify(requestBody),
    });
    console.log(
      `[${timestamp}] Fly.io API response status: ${flyResponse.status} ${flyResponse.statusText}`,
    );
    if (!flyResponse.ok) throw new Error(`Fly.io API error: ${flyResponse.status}`);
    const flyMachine = await flyResponse.json();
    console.log(`[${timestamp}] ✅ Fly machine created successfully:`, flyMachine.id);

    const idUpdate = await supabase.from("cloud_machines")
      .update({ fly_machine_id: flyMachine.id }).eq("id", machine.id);
    if (idUpdate.error) throw idUpdate.error;
    console.log(`[${timestamp}] Waiting for machine to start...`);
    const waitResponse = await fetch(`${flyUrl}/${flyMachine.id}/wait?state=started&timeout=60`, {
      headers: flyHeaders,
    });
    await waitResponse.json();
    const getResponse = await fetch(`${flyUrl}/${flyMachine.id}`, { headers: flyHeaders });
    const current = await getResponse.json();
    console.log(`[${timestamp}] Machine state: ${current.state}`);

    const { data: updated, error: updateError } = await supabase.from("cloud_machines")
      .update({ status: "running" }).eq("id", machine.id).select().single();
    if (updateError) throw updateError;
    const { error: eventError } = await supabase.from("machine_events")
      .insert({ cloud_machine_id: machine.id, kind: "running" });
    if (eventError) throw eventError;
    console.log(`[${timestamp}] Machine record updated:`, updated.status);
    console.log(`[${timestamp}] ========================================`);
    return Response.json({
      machineId: machine.machine_id,
      websocketUrl: machine.websocket_url,
      status: "running",
      message: "Machine provisioned successfully",
    }, { headers: CORS_HEADERS });
  } catch (error) {
    console.error(`[${timestamp}] ❌ Fly.io provisioning failed:`, error);
    const message = error instanceof Error ? error.message : String(error);
    return Response.json({ error: message }, { status: 500, headers: CORS_HEADERS });
  }
});
