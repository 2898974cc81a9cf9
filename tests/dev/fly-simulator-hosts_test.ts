/** Hosts and leases of the simulator, each test with the fact it holds to. */
import assert from "node:assert/strict";
import { z } from "zod";
import { MACHINE, virtualSimulator } from "../support/fly-simulator.ts";

const hostSchema = z.looseObject({
  host_status: z.string(),
  config: z.unknown(),
  incomplete_config: z.looseObject({ metadata: z.unknown().optional() }).nullable(),
});

Deno.test("a host without room refuses to start a stopped machine (flyctl, start.go)", async () => {
  const { clock, simulator, send, create } = virtualSimulator({ settings: { stillActiveMs: 0 } });
  const id = await create();
  await clock.advance(300);
  await send(`POST /machines/${id}/stop`);
  await clock.advance(100);
  const texts = [
    ["memory", /^aborted: could not reserve resource for machine: insufficient memory available/],
    ["cpus", /insufficient CPUs available to fulfill request on the current host$/],
    ["ips", /insufficient IPs available$/],
    ["governor", /governor policy blocked start$/],
  ] as const;
  for (const [noRoom, text] of texts) {
    simulator.operator.setHost(id, { noRoom });
    const { status, body } = await send(`POST /machines/${id}/start`);
    assert.equal(status, 409);
    assert.match(body.error, text);
  }
  simulator.operator.setHost(id, { noRoom: null });
  assert.equal((await send(`POST /machines/${id}/start`)).status, 200);
  await clock.advance(300);
  simulator.operator.setHost(id, { noRoom: "memory" });
  assert.equal((await send(`POST /machines/${id}`, MACHINE)).status, 409, "the old version stays");
  simulator.operator.setHost(id, { noRoom: null, deploys: false });
  const closed = await send(`POST /machines/${id}`, MACHINE);
  assert.deepEqual([closed.status, closed.body.error], [
    503,
    "unavailable: deploys to this host are temporarily disabled",
  ]);
});

Deno.test("an unreachable host: config is null, incomplete_config has it, in GET and list (fly-go)", async () => {
  const { simulator, send, create } = virtualSimulator();
  const metadata = { row: "1" };
  const id = await create({ ...MACHINE, config: { ...MACHINE.config, metadata } });
  simulator.operator.setHost(id, { status: "unreachable" });
  const { json } = await send("GET /machines");
  for (
    const answer of [(await send(`GET /machines/${id}`)).json, z.array(z.unknown()).parse(json)[0]]
  ) {
    const { host_status: status, config, incomplete_config: rest } = hostSchema.parse(answer);
    assert.deepEqual([status, config, rest?.metadata], ["unreachable", null, metadata]);
  }
  for (const call of ["start", "stop", "suspend", "metadata/x"]) {
    assert.ok([412, 503].includes((await send(`POST /machines/${id}/${call}`, {})).status), call);
  }
});

Deno.test("destroying on a host that is away: 200 and destroying for days, 503, or no answer (flyctl#3840)", async () => {
  const { clock, simulator, send, create, direct, state } = virtualSimulator();
  const { operator } = simulator;
  const id = await create();
  await clock.advance(300);
  operator.setHost(id, { status: "unreachable", destroys: "503" });
  assert.equal((await send(`DELETE /machines/${id}?force=true`)).status, 503);
  assert.equal(state(id), "started");

  operator.setHost(id, { destroys: "hangs" });
  const hanging = direct(`DELETE /machines/${id}?force=true`);
  const ended = assert.rejects(hanging, TypeError);
  await clock.advance(3_600_000);
  assert.deepEqual([simulator.callsInFlight, state(id)], [1, "started"]);
  await simulator.abandonCalls();
  await ended;

  operator.setHost(id, { destroys: "destroying" });
  assert.deepEqual((await send(`DELETE /machines/${id}?force=true`)).json, { ok: true });
  await clock.advance(3 * 86_400_000);
  assert.equal(state(id), "destroying");
  assert.equal((await send("POST /machines", MACHINE)).status, 409, "the name is held");
  operator.setHost(id, { status: "ok" });
  await clock.advance(100);
  assert.equal(state(id), "destroyed");
});

const nested = z.object({
  status: z.literal("success"),
  data: z.object({
    nonce: z.string(),
    expires_at: z.int(),
    owner: z.string(),
    version: z.string(),
  }),
});

Deno.test("a lease is taken, read, extended with its nonce, and given back (docs, surge)", async () => {
  const { clock, simulator, send, create } = virtualSimulator();
  const id = await create();
  const path = `/machines/${id}/lease`;
  assert.deepEqual((await send(`GET ${path}`)).json, { error: "lease not found" });
  const taken = await send(`POST ${path}`, { ttl: 10 });
  assert.equal(taken.status, 201);
  const { nonce, expires_at: until } = nested.parse(taken.json).data;
  assert.equal(until, Math.floor(clock.now() / 1000) + 10);
  const authorization = "Bearer fly-simulator-token";
  const headers = { authorization, "fly-machine-lease-nonce": nonce };
  await clock.advance(5000);
  const again = await send(`POST ${path}`, { ttl: 10 }, headers);
  assert.equal(nested.parse(again.json).data.expires_at, until + 5);
  await clock.advance(9000);
  assert.equal((await send(`GET ${path}`)).status, 200);
  assert.equal((await send(`DELETE ${path}`)).status, 409);
  assert.equal((await send(`DELETE ${path}`, undefined, headers)).status, 200);
  assert.equal((await send(`GET ${path}`)).status, 404);
  simulator.configure({ leaseBody: "flat" });
  z.object({ nonce: z.string() }).parse((await send(`POST ${path}`)).json);

  const made = await send("POST /machines", { ...MACHINE, name: "leased", lease_ttl: 5 });
  assert.equal(typeof made.body.nonce, "string");
});

Deno.test("another's lease: start, update and lease are 409 at once; stop and destroy hang (surge 2026, t/15555)", async () => {
  const { clock, simulator, send, direct, create, state } = virtualSimulator();
  const id = await create();
  await clock.advance(300);
  simulator.operator.holdLease(id, 20, "owner");
  const ends = new Date(clock.now() + 20_000).toISOString();
  for (const call of [`${id}/start`, id, `${id}/lease`, `${id}/suspend`]) {
    const { status, json } = await send(`POST /machines/${call}`, MACHINE);
    assert.deepEqual([status, json], [409, {
      status: "error",
      message: `machine ID ${id} lease currently held by owner, expires at ${ends}`,
    }], call);
  }
  const begin = clock.now();
  assert.equal((await send(`POST /machines/${id}/stop`)).status, 200);
  assert.equal(clock.now() - begin, 20_000);

  simulator.operator.holdLease(id, 20);
  const hanging = direct(`DELETE /machines/${id}?force=true`);
  await clock.advance(19_000);
  assert.equal(state(id), "stopped");
  simulator.operator.dropLease(id);
  assert.equal((await clock.run(hanging)).status, 200);
  assert.equal(state(id), "destroying");
});

Deno.test("in 2023 a destroy under a lease was refused (t/15555); refusals can have a message or no body at all", async () => {
  const { simulator, send, create } = virtualSimulator({ settings: { foreignLease: "409" } });
  const id = await create();
  simulator.operator.holdLease(id);
  assert.equal((await send(`DELETE /machines/${id}?force=true`)).status, 409);
  simulator.configure({ refusalForm: "message" });
  assert.deepEqual((await send("GET /machines/x")).json, {
    status: "error",
    message: "not_found: machine not found",
  });
  simulator.configure({ refusalForm: "empty" });
  const { status, json } = await send("GET /machines/x");
  assert.deepEqual([status, json], [404, undefined]);
});
