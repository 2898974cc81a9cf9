// The example router as a process: which requests it replays to which machine.
import assert from "node:assert/strict";
import { ExampleServer, ROUTER } from "./example-server.ts";
import { knock } from "./knock.ts";
import {
  badTokens,
  type Claims,
  claims,
  FLY_MACHINE_ID,
  MACHINE_ID,
  OTHER_MACHINE_ID,
  SECRET,
  sign,
} from "./tokens.ts";

const SHARED_APP = "my-shared-app";

/** Claims that a machine's user, who can read its key, may sign: `app` or `machine` is not its own. */
const BAD_DESTINATIONS: [string, Claims][] = [
  ["no app", { app: undefined }],
  ["another machine's app", { app: OTHER_MACHINE_ID }],
  ["an app of the operator", { app: "internal-dashboard" }],
  ["the router", { app: "my-router" }],
  ["the shared app, if there is none", { app: SHARED_APP }],
  ["app with a second field", { app: `${MACHINE_ID};instance=other` }],
  ["app with a new header", { app: `${MACHINE_ID}\r\nfly-replay-cache: /` }],
  ["app in other case", { app: MACHINE_ID.toUpperCase() }],
  ["app in a list", { app: [MACHINE_ID] }],
  ["no machine", { machine: undefined }],
  ["an empty machine", { machine: "" }],
  ["machine with a second field", { machine: `${FLY_MACHINE_ID};app=other` }],
  ["machine with a new header", { machine: `${FLY_MACHINE_ID}\r\nset-cookie: a=b` }],
  ["machine and a line break", { machine: `${FLY_MACHINE_ID}\n` }],
  ["machine and a second one", { machine: `${FLY_MACHINE_ID},${FLY_MACHINE_ID}` }],
  ["machine with quotes", { machine: `"${FLY_MACHINE_ID}"` }],
  ["machine in a list", { machine: [FLY_MACHINE_ID] }],
  ["machine is an object", { machine: { id: FLY_MACHINE_ID } }],
  ["machine is long", { machine: "a".repeat(33) }],
];

Deno.test("a good token is replayed to its machine, as an upgrade or not", async () => {
  await using server = await ExampleServer.start(ROUTER);
  const target = `/${MACHINE_ID}?token=${sign(claims())}`;
  const upgrade = await knock(server.port, target);
  const plain = await fetch(server.url + target);
  await plain.body?.cancel();
  for (const { status, headers } of [upgrade, plain]) {
    assert.equal(status, 200);
    assert.equal(headers.get("fly-replay"), `app=${MACHINE_ID};instance=${FLY_MACHINE_ID}`);
    assert.equal(headers.get("cache-control"), "no-store");
    const names = [...headers.keys()].filter((name) => /^fly-replay-/.test(name));
    assert.deepEqual(names, [], "a cached replay would not be checked");
  }
});

Deno.test("white space around the secret does not count, as in the function", async () => {
  const env = { CONNECT_TOKEN_SECRET: ` ${SECRET}\n` };
  await using server = await ExampleServer.start(ROUTER, { env });
  const { status } = await knock(server.port, `/${MACHINE_ID}?token=${sign(claims())}`);
  assert.equal(status, 200);
});

Deno.test("each bad token gets 401, one line of JSON that says why, and no replay", async () => {
  await using server = await ExampleServer.start(ROUTER);
  for (const [name, query, reason] of badTokens()) {
    await assertRefused(server, `/${MACHINE_ID}${query}`, 401, reason, name);
  }
});

Deno.test("another machine's token is refused, whichever path it is used on", async () => {
  await using server = await ExampleServer.start(ROUTER);
  const path = `/${OTHER_MACHINE_ID}?token=${sign(claims())}`;
  await assertRefused(server, path, 401, /not signed for this machine/);
});

Deno.test("a machine's user who signs other claims reaches no other app", async () => {
  await using server = await ExampleServer.start(ROUTER);
  for (const [name, changes] of BAD_DESTINATIONS) {
    const path = `/${MACHINE_ID}?token=${sign(claims(changes))}`;
    await assertRefused(server, path, 401, /claim (app|machine) is not accepted/, name);
  }
});

Deno.test("SHARED_APP allows the app that all machines share, beside each one's own", async () => {
  await using server = await ExampleServer.start(ROUTER, { env: { SHARED_APP } });
  for (const app of [SHARED_APP, MACHINE_ID]) {
    const { status, headers } = await knock(
      server.port,
      `/${MACHINE_ID}?token=${sign(claims({ app }))}`,
    );
    assert.equal(status, 200);
    assert.equal(headers.get("fly-replay"), `app=${app};instance=${FLY_MACHINE_ID}`);
  }
  const path = `/${MACHINE_ID}?token=${sign(claims({ app: OTHER_MACHINE_ID }))}`;
  await assertRefused(server, path, 401, /claim app/);
});

Deno.test("a request that was replayed already is not replayed again", async () => {
  await using server = await ExampleServer.start(ROUTER);
  const target = `/${MACHINE_ID}?token=${sign(claims())}`;
  for (const name of ["fly-replay-src", "Fly-Replay-Src", "fly-replay-failed"]) {
    const { status, headers } = await knock(server.port, target, { [name]: "instance=1;region=a" });
    assert.deepEqual([status, headers.get("fly-replay")], [508, null]);
  }
});

Deno.test("other paths get 404, other methods 405, health 200", async () => {
  await using server = await ExampleServer.start(ROUTER);
  const query = `?token=${sign(claims())}`;
  const paths = [
    "/",
    `/${MACHINE_ID}/`,
    `/${MACHINE_ID}/x`,
    `//${MACHINE_ID}`,
    "/A",
    "/%0d%0a",
    `/${"a".repeat(64)}`,
  ];
  for (const path of paths) await assertRefused(server, path + query, 404, /machineId/, path);
  const post = await fetch(`${server.url}/${MACHINE_ID}${query}`, { method: "POST" });
  assert.deepEqual([post.status, post.headers.get("allow")], [405, "GET"]);
  assert.match((await post.json()).error, /GET/);
  const health = await fetch(`${server.url}/health`);
  assert.deepEqual([health.status, await health.json()], [200, { status: "pass" }]);
});

Deno.test("it logs no token and no secret", async () => {
  await using server = await ExampleServer.start(ROUTER);
  for (const query of [`?token=${sign(claims())}`, ...badTokens().map(([, query]) => query)]) {
    await knock(server.port, `/${MACHINE_ID}${query}`);
  }
  const { code, output } = await server.stop("SIGINT");
  assert.equal(code, 0);
  assert.doesNotMatch(output, /eyJ|token=/);
  assert.ok(!output.includes(SECRET));
});

Deno.test("without a secret of 32 characters it does not start", async () => {
  for (const secret of ["", "x".repeat(31), `${"x".repeat(31)}\n`]) {
    const { code, output } = await ExampleServer.runToEnd(ROUTER, { CONNECT_TOKEN_SECRET: secret });
    assert.equal(code, 1);
    assert.match(output, /^CONNECT_TOKEN_SECRET is missing or shorter than 32 characters/);
    assert.doesNotMatch(output, /listening|xxx/);
  }
});

async function assertRefused(
  server: ExampleServer,
  target: string,
  status: number,
  error: RegExp,
  name = target,
): Promise<void> {
  const response = await fetch(server.url + target);
  const body = await response.text();
  assert.equal(response.status, status, name);
  assert.equal(response.headers.get("fly-replay"), null, name);
  assert.match(body, /^[^\n]+\n$/, name);
  assert.match(JSON.parse(body).error, error, name);
  const upgrade = await knock(server.port, target);
  assert.deepEqual([upgrade.status, upgrade.headers.get("fly-replay")], [status, null], name);
}
