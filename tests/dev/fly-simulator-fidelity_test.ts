/**
 * Runs fly-admin, a client of the real Machines API that others wrote, against the simulator, and
 * checks what it returns against the types that it declares.
 */
import assert from "node:assert/strict";
// The entry of the package takes no URL; this class of it does.
import clientModule from "fly-admin/dist/client.js";
import { z } from "zod";
import { FlySimulator, serveFlySimulator } from "../../dev/stack/fly/mod.ts";

const FlyAdmin = clientModule.default;
type FlyAdmin = InstanceType<typeof FlyAdmin>;

async function withClient(
  test: (client: FlyAdmin, simulator: FlySimulator) => Promise<void>,
  token = "fly-token",
): Promise<void> {
  const simulator = new FlySimulator({
    tokens: ["fly-token"],
    settings: {
      startDelayMs: 10,
      stopDelayMs: 5,
      destroyDelayMs: 5,
      stillActiveMs: 0,
      newAppDelayMs: 0,
      newAppListDelayMs: 0,
      appDeleteDelayMs: 0,
      rateLimits: null,
    },
  });
  const server = await serveFlySimulator(simulator);
  try {
    await test(new FlyAdmin(token, { apiUrl: server.url }), simulator);
  } finally {
    await server.shutdown();
  }
}

/** fly-admin declares every member, but the API leaves out those that are zero (fly-go, machine_types.go). */
const exitEvent = z.object({
  requested_stop: z.boolean(),
  restarting: z.boolean(),
  guest_exit_code: z.number(),
  guest_signal: z.number(),
  guest_error: z.string(),
  exit_code: z.number(),
  signal: z.number(),
  error: z.string(),
  oom_killed: z.boolean(),
  exited_at: z.iso.datetime(),
}).partial();

/** `MachineResponse` of fly-admin, as far as the documentation does not leave members out itself. */
const machineResponse = z.object({
  id: z.string(),
  name: z.string(),
  state: z.enum([
    "created",
    "starting",
    "started",
    "stopping",
    "stopped",
    "replacing",
    "destroying",
    "destroyed",
  ]),
  region: z.string().length(3),
  instance_id: z.string(),
  private_ip: z.ipv6(),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
  image_ref: z.object({
    registry: z.string(),
    repository: z.string(),
    tag: z.string(),
    digest: z.string().startsWith("sha256:"),
    labels: z.record(z.string(), z.string()).nullable(),
  }),
  config: z.looseObject({
    image: z.string(),
    init: z.object(),
    env: z.record(z.string(), z.string()),
    restart: z.object({ policy: z.enum(["no", "always", "on-failure"]) }),
    guest: z.object({
      cpu_kind: z.enum(["shared", "performance"]),
      cpus: z.number(),
      memory_mb: z.number(),
    }),
    services: z.array(z.object({
      protocol: z.enum(["tcp", "udp"]),
      internal_port: z.number(),
      ports: z.array(z.object({ port: z.number(), handlers: z.array(z.string()) })),
    })),
  }),
  events: z.array(z.object({
    id: z.string(),
    type: z.string(),
    status: z.string(),
    source: z.enum(["flyd", "user"]),
    timestamp: z.number(),
    request: z.object({ exit_event: exitEvent, restart_count: z.number().optional() }).optional(),
  })),
  checks: z.array(z.object({
    name: z.string(),
    status: z.enum(["passing", "warning", "critical"]),
    output: z.string(),
    updated_at: z.string(),
  })),
});

const CREATE = {
  app_name: "demo",
  name: "machine-1",
  region: "fra",
  config: {
    image: "registry.fly.io/demo:v1",
    env: { USER_ID: "a-user" },
    guest: { cpu_kind: "shared", cpus: 2, memory_mb: 512 },
    services: [{
      protocol: "tcp",
      internal_port: 8080,
      ports: [{ port: 443, handlers: ["tls", "http"] }, { port: 80, handlers: ["http"] }],
    }],
    checks: { up: { type: "tcp", port: 8080, interval: "15s", timeout: "10s" } },
    metadata: { row: "1" },
  },
};
const MACHINE = { app_name: "demo" };

Deno.test("fly-admin: a machine's whole life", async () => {
  await withClient(async ({ Machine }) => {
    const created = await Machine.createMachine(CREATE);
    machineResponse.parse(created);
    assert.equal(created.state, "created");
    assert.equal(created.region, "fra");
    assert.deepEqual(created.config.env, { USER_ID: "a-user" });
    assert.deepEqual(created.config.services, CREATE.config.services);
    assert.deepEqual(created.image_ref.repository, "demo");

    const machine = { ...MACHINE, machine_id: created.id };
    const waited = await Machine.waitMachine({
      ...machine,
      instance_id: created.instance_id,
      timeout: "60s",
    });
    assert.equal(waited.ok, true);
    const started = machineResponse.parse(await Machine.getMachine(machine));
    assert.equal(started.state, "started");
    assert.equal(started.checks[0]?.status, "passing");
    assert.deepEqual((await Machine.listMachines("demo")).map(({ id }) => id), [created.id]);
    assert.deepEqual(await Machine.listMachines({ app_name: "demo", region: "ams" }), []);

    assert.deepEqual(await Machine.stopMachine(machine), { ok: true });
    await Machine.waitMachine({
      ...machine,
      instance_id: created.instance_id,
      // fly-admin exports the type of this enum but not its value.
      state: "stopped" as NonNullable<Parameters<typeof Machine.waitMachine>[0]["state"]>,
    });
    const stopped = machineResponse.parse(await Machine.getMachine(machine));
    assert.equal(stopped.state, "stopped");
    assert.equal(stopped.events[0]?.request?.exit_event.requested_stop, true);

    assert.ok(await Machine.startMachine(machine));
    await Machine.waitMachine(machine);
    const events = await Machine.listEvents(machine);
    assert.deepEqual(events.map(({ type, status }) => `${type} ${status}`), [
      "start started",
      "start starting",
      "exit stopped",
      "stop stopping",
      "start started",
      "start starting",
      "launch created",
    ]);

    await assert.rejects(Machine.deleteMachine(machine), /412: .*failed_precondition/);
    assert.deepEqual(await Machine.deleteMachine({ ...machine, force: true }), { ok: true });
    // Either in time, or too late: then 404.
    await Machine.waitMachine({
      ...machine,
      state: "destroyed" as NonNullable<Parameters<typeof Machine.waitMachine>[0]["state"]>,
    }).catch((error) => assert.match(String(error), /404: .*machine not found/));
    await assert.rejects(Machine.getMachine(machine), /404: .*machine not found/);
    assert.deepEqual(await Machine.listMachines("demo"), []);
    const deleted = await Machine.listMachines({ app_name: "demo", include_deleted: "" });
    assert.deepEqual(deleted.map(({ state }) => String(state)), ["destroyed"]);
  });
});

Deno.test("fly-admin: refusals reach it as it expects them", async () => {
  await withClient(async ({ Machine, App }, simulator) => {
    const { id } = await Machine.createMachine(CREATE);
    await assert.rejects(
      Machine.createMachine(CREATE),
      new RegExp(`409: .*already_exists: unique machine name violation, machine ID ${id}`),
    );
    simulator.setCapacity("ams", false);
    await assert.rejects(
      Machine.createMachine({ ...CREATE, name: "machine-2", region: "ams" }),
      /422: .*"status":"insufficient_capacity"/,
    );
    const machine = { ...MACHINE, machine_id: id };
    await assert.rejects(
      Machine.waitMachine({ ...machine, timeout: "90s" }),
      /400: .*invalid_argument: invalid WaitMachineRequest\.Timeout/,
    );
    await assert.rejects(App.getApp("nobodys"), /404: .*Could not find App/);
  });
  await withClient(async ({ App }) => {
    await assert.rejects(App.getApp("demo"), /401: .*Authenticate: token validation error/);
  }, "a-wrong-token");
});

Deno.test("fly-admin: apps", async () => {
  await withClient(async ({ App, Machine }) => {
    const org_slug = "personal";
    await App.createApp({ org_slug, app_name: "shop" });
    await assert.rejects(App.createApp({ org_slug, app_name: "shop" }), /422: .*"name_taken"/);
    await assert.rejects(
      App.createApp({ org_slug, app_name: "No Good" }),
      /422: .*Validation failed/,
    );
    await Machine.createMachine({ ...CREATE, app_name: "shop" });
    const shop = await App.getApp("shop");
    assert.deepEqual([shop.name, String(shop.status)], ["shop", "deployed"]);
    assert.deepEqual([shop.organization.name, shop.organization.slug], ["personal", "personal"]);
    const listed = await App.listApps("personal");
    assert.equal(listed.total_apps, 2);
    assert.deepEqual(listed.apps.map(({ name, machine_count }) => [name, machine_count]), [
      ["demo", 0],
      ["shop", 1],
    ]);
    await assert.rejects(App.deleteApp("shop"), /412/);
    await App.deleteApp("demo");
    await assert.rejects(App.getApp("demo"), /404/);
  });
});
