/** The simulator's control endpoint, Machine addresses and command line. */
import assert from "node:assert/strict";
import { answerControl } from "../../dev/stack/fly/control/control-api.ts";
import { toResponse } from "../../dev/stack/fly/control/delivery.ts";
import type { FlySimulator } from "../../dev/stack/fly/mod.ts";
import { MACHINE, virtualSimulator } from "../support/fly-simulator.ts";

/** Calls the control endpoint in process. */
function control(simulator: FlySimulator) {
  return async (call: string, body?: unknown) => {
    const [method = "", path = ""] = call.split(" ");
    const request = new Request(`http://localhost/_control/${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const response = toResponse(await answerControl(simulator, request), request.url);
    return { status: response.status, json: await response.json() };
  };
}

Deno.test("control: faults are added, listed and deleted", async () => {
  const { simulator, send } = virtualSimulator();
  const call = control(simulator);
  const added = await call("POST faults", {
    match: { action: "create" },
    do: { kind: "status", status: 500 },
  });
  assert.deepEqual([added.status, added.json], [200, { id: 1 }]);
  assert.equal((await call("GET faults")).json.faults[0].rule.do.status, 500);
  assert.equal((await send("POST /machines", MACHINE)).status, 500);
  await call("POST faults", { do: { kind: "status", status: 500 } });
  await call("DELETE faults");
  assert.equal((await send("POST /machines", MACHINE)).status, 200);
});

Deno.test("control: regions, settings and apps", async () => {
  const { clock, simulator, send, state } = virtualSimulator();
  const call = control(simulator);
  const full = await call("POST regions/iad", { capacity: false, variant: "409-no-capacity" });
  assert.deepEqual(full.json, { full: { iad: "409-no-capacity" }, silent: [] });
  assert.equal((await send("POST /machines", MACHINE)).body.error, "aborted: no capacity");
  await call("POST regions/iad", { capacity: true });
  const { json } = await call("POST settings", { startDelayMs: { minMs: 1000, maxMs: 1000 } });
  assert.deepEqual(json.settings.startDelayMs, { minMs: 1000, maxMs: 1000 });
  assert.equal(json.settings.stopDelayMs, 100, "the others stay");
  await send("POST /machines", MACHINE);
  await clock.advance(999);
  assert.equal(state("machine-1"), "starting");
  await clock.advance(1);
  assert.equal(state("machine-1"), "started");
  await call("POST apps", { name: "second" });
  assert.deepEqual((await call("GET state")).json.apps.map(({ name }: { name: string }) => name), [
    "demo",
    "second",
  ]);
});

Deno.test("control: a machine is failed, stopped and killed behind the caller's back", async () => {
  const { clock, simulator, create, state } = virtualSimulator();
  const call = control(simulator);
  for (
    const [verb, during, after] of [
      ["fail", "failed", "failed"],
      ["stop", "stopping", "stopped"],
      ["kill", "destroying", "destroyed"],
    ]
  ) {
    const id = await create({ ...MACHINE, name: `to-${verb}` });
    await clock.advance(300);
    const { status, json } = await call(`POST machines/to-${verb}/${verb}`);
    assert.deepEqual([status, json.id, json.state], [200, id, during]);
    await clock.advance(100);
    assert.equal(state(id), after);
  }
  const again = await call("POST machines/to-kill/kill");
  assert.deepEqual([again.status, again.json], [404, { error: 'no live machine "to-kill"' }]);
  assert.deepEqual(simulator.liveMachines().map(({ name }) => name), ["to-fail", "to-stop"]);
  const { json } = await call("GET state");
  assert.deepEqual(
    json.machines[2].history.map(({ state }: { state: string }) => state),
    ["created", "starting", "started", "destroying", "destroying", "destroyed"],
  );
});

Deno.test("control: exits, tampering, hosts, leases, limits, images, regions and tokens", async () => {
  const { clock, simulator, send, create, state } = virtualSimulator();
  const call = control(simulator);
  const id = await create();
  await clock.advance(300);
  const done = async (path: string, body?: unknown) => {
    const { status, json } = await call(path, body);
    assert.equal(status, 200, `${path}: ${JSON.stringify(json)}`);
    return json;
  };
  await done("POST machines/machine-1/tamper", { metadata: { row: "1" } });
  assert.deepEqual((await send(`GET /machines/${id}/metadata`)).json, { row: "1" });
  await done("POST machines/machine-1/lease", { ttlSeconds: 5, owner: "another" });
  assert.equal((await send(`POST /machines/${id}`, MACHINE)).status, 409);
  await done("DELETE machines/machine-1/lease");
  await done("POST machines/machine-1/host", { status: "unreachable" });
  assert.equal((await send(`POST /machines/${id}`, MACHINE)).status, 503);
  await done("POST machines/machine-1/host", { status: "ok" });
  await done("POST machines/machine-1/exit", { exitCode: 1, times: 2 });
  assert.equal(state(id), "restarting");

  await done("POST organizations/personal", { machineLimit: 1 });
  const refused = async () => (await send("POST /machines", { config: MACHINE.config })).body.error;
  assert.match(await refused(), /machine limit/);
  const plain = await done("POST organizations/personal", { machineLimit: null, trial: true });
  assert.deepEqual([plain.machineLimit, plain.trialSinceMs], [null, clock.now()]);
  await done("POST organizations/personal", { trial: false });
  await done("POST images", { image: MACHINE.config.image, missingForMs: 1000 });
  assert.match(await refused(), /MANIFEST_UNKNOWN/);
  await clock.advance(1000);
  await done("POST regions/iad", { retiredFor: "ewr", answers: false });
  assert.match(await refused(), /such as ewr/);
  assert.deepEqual((await send("GET /machines")).json, []);
  await done("POST tokens", { token: "reader", readOnly: true });
  const reader = { authorization: "Bearer reader" };
  assert.equal((await send("GET /machines", undefined, reader)).status, 200);
});

Deno.test("control: the call log shows what happened and keeps no token", async () => {
  const { simulator, send } = virtualSimulator();
  const call = control(simulator);
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const headers = { authorization: "Bearer fly-simulator-token", traceparent };
  const created = await send("POST /machines", MACHINE, headers);
  await send("POST /machines", MACHINE, headers);
  const { requests } = (await call("GET requests")).json;
  const [first, second] = requests;
  assert.deepEqual(
    [first.number, first.method, first.path, first.action, first.status, first.tookEffect],
    [1, "POST", "/v1/apps/demo/machines", "create", 200, true],
  );
  assert.equal(first.machineId, created.body.id);
  assert.equal(first.machineName, "machine-1");
  assert.equal(first.requestId, created.headers.get("fly-request-id"));
  assert.equal(first.traceparent, traceparent);
  assert.deepEqual([second.status, second.tookEffect, second.machineId], [409, false, null]);
  assert.ok(!JSON.stringify(requests).includes("fly-simulator-token"));
  await call("DELETE requests");
  assert.deepEqual((await call("GET requests")).json, { requests: [] });
});

Deno.test("control: reset gives back the beginning", async () => {
  const { simulator, send, create } = virtualSimulator();
  const call = control(simulator);
  await create();
  await call("POST regions/fra", { capacity: false });
  await call("POST settings", { startDelayMs: 1 });
  await call("POST apps", { name: "second" });
  await call("POST faults", { do: { kind: "half-answer" } });
  await call("POST reset");
  const { machines, apps, faults, fullRegions, settings } = (await call("GET state")).json;
  assert.deepEqual([machines, faults, fullRegions], [[], [], {}]);
  assert.deepEqual(apps.map(({ name }: { name: string }) => name), ["demo"]);
  assert.equal(settings.startDelayMs, 300);
  assert.equal((await send("POST /machines", MACHINE)).status, 200);
});

Deno.test("control: wrong input is refused, naming what was wrong", async () => {
  const { simulator } = virtualSimulator();
  const call = control(simulator);
  const wrong: [call: string, body: unknown, status: number, names: RegExp][] = [
    ["POST faults", { do: { kind: "status", status: 42 } }, 400, /do\.status/],
    ["POST faults", "{", 400, /invalid JSON/],
    ["POST faults", undefined, 400, /expected object/],
    ["POST regions/iad", { capacity: "no" }, 400, /capacity/],
    ["POST regions/iad", { capacity: false, variant: "418" }, 400, /variant/],
    ["POST regions/atlantis", { capacity: false }, 404, /no region "atlantis"/],
    ["POST settings", { startDelay: 1 }, 400, /startDelay/],
    ["POST settings", { startDelayMs: { minMs: 2, maxMs: 1 } }, 400, /minMs/],
    ["POST machines/nobody/fail", {}, 404, /no live machine "nobody"/],
    ["GET nowhere", undefined, 404, /no control path "nowhere"/],
    ["PUT faults", undefined, 405, /use POST, GET, DELETE/],
  ];
  for (const [path, body, status, names] of wrong) {
    const reply = await call(path, body);
    assert.equal(reply.status, status, path);
    assert.match(reply.json.error, names);
  }
  assert.deepEqual(simulator.requests(), [], "control calls are not in the log");
});

Deno.test("the command line serves both addresses and stops at SIGTERM", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      new URL("../../dev/stack/fly/main.ts", import.meta.url).pathname,
      ...["--port", "0", "--proxy-port", "0", "--app", "shop", "--token", "t"],
    ],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let output = "";
  while (!output.includes("/_control/requests\n")) {
    const { value, done } = await reader.read();
    if (done) break;
    output += value;
  }
  const url = /FLY_API_HOSTNAME=(\S+)/.exec(output)?.[1];
  assert.match(output, /WEBSOCKET_URL_TEMPLATE=ws:\/\/127\.0\.0\.1:\d+\/host\/\{app\}\.fly\.dev\//);
  const response = await fetch(`${url}/v1/apps/shop`, { headers: { authorization: "Bearer t" } });
  assert.equal((await response.json()).name, "shop");
  child.kill("SIGTERM");
  assert.equal((await child.status).code, 0);
  await reader.cancel();
});
