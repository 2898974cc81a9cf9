// The example machine as a process: tokens, messages, users, pings and its end.
import assert from "node:assert/strict";
import { until } from "../support/until.ts";
import { Client } from "./client.ts";
import { ExampleServer, MACHINE } from "./example-server.ts";
import { knock, RawSocket } from "./knock.ts";
import {
  badTokens,
  claims,
  KEY,
  MACHINE_ID,
  OTHER_MACHINE_ID,
  OTHER_USER_ID,
  sign,
  USER_ID,
} from "./tokens.ts";

const PING_FRAME = 9;

Deno.test("a good token is accepted on any path, greeted and echoed", async () => {
  await using server = await ExampleServer.start(MACHINE);
  for (const path of ["/", `/${MACHINE_ID}`, "/some/other/path"]) {
    await using client = await Client.connect(server, claims(), path);
    client.send({ id: path, text: "hello" });
    assert.deepEqual(await client.messages(3), [
      { machineId: MACHINE_ID, userId: USER_ID },
      { echo: "hello", id: path },
      { ack: path },
    ]);
  }
});

Deno.test("each bad token gets 401 and one line of JSON that says why", async () => {
  await using server = await ExampleServer.start(MACHINE);
  for (const [name, query, reason] of badTokens()) {
    const { status, headers, body } = await knock(server.port, `/${query}`);
    assert.equal(status, 401, name);
    assert.equal(headers.get("content-type"), "application/json", name);
    assert.match(body, /^[^\n]+\n$/, name);
    assert.match(JSON.parse(body).error, reason, name);
  }
  assert.equal((await knock(server.port, `/?token=${sign(claims())}`)).status, 101);
});

Deno.test("a token of 100 KB is refused, and the server goes on", async () => {
  await using server = await ExampleServer.start(MACHINE);
  const answered = await knock(server.port, `/?token=${"x".repeat(100_000)}`)
    .then(({ status }) => status, () => "closed");
  assert.notEqual(answered, 101);
  assert.equal((await knock(server.port, `/?token=${sign(claims())}`)).status, 101);
});

Deno.test("an intercepted token opens no other machine", async () => {
  const token = sign(claims());
  await using own = await ExampleServer.start(MACHINE);
  // Even a machine that was given the same key by mistake.
  await using other = await ExampleServer.start(MACHINE, { env: { MACHINE_ID: OTHER_MACHINE_ID } });
  assert.equal((await knock(own.port, `/?token=${token}`)).status, 101);
  assert.equal((await knock(other.port, `/?token=${token}`)).status, 401);
});

Deno.test("no token appears in the log, of whatever kind", async () => {
  await using server = await ExampleServer.start(MACHINE);
  const queries = [`?token=${sign(claims())}`, ...badTokens().map(([, query]) => query)];
  for (const query of queries) await knock(server.port, `/${query}`);
  const { output } = await server.stop("SIGTERM");
  assert.match(output, /"event":"connected"/);
  assert.doesNotMatch(output, /eyJ|token=/);
  assert.ok(!output.includes(KEY));
});

Deno.test("a message sent again after a lost connection is processed once", async () => {
  await using server = await ExampleServer.start(MACHINE);
  {
    await using client = await Client.connect(server, claims());
    client.send({ id: "1", text: "first" });
    await client.messages(3);
  }
  await using client = await Client.connect(server, claims());
  client.send({ id: "1", text: "first" });
  client.send({ id: "2", text: "second" });
  client.send({ id: "2", text: "second" });
  assert.deepEqual((await client.messages(5)).slice(1), [
    { ack: "1" },
    { echo: "second", id: "2" },
    { ack: "2" },
    { ack: "2" },
  ]);
});

Deno.test("it remembers the newest 10,000 ids and no more", async () => {
  await using server = await ExampleServer.start(MACHINE);
  await using client = await Client.connect(server, claims());
  for (let id = 0; id <= 10_000; id++) client.send({ id: `${id}`, text: "" });
  await client.messages(1 + 2 * 10_001);
  client.send({ id: "1", text: "remembered" });
  client.send({ id: "0", text: "forgotten" });
  const newest = (await client.messages(1 + 2 * 10_001 + 3)).slice(-3);
  assert.deepEqual(newest, [{ ack: "1" }, { echo: "forgotten", id: "0" }, { ack: "0" }]);
});

Deno.test("an invalid message gets an error, one that is too large ends the connection", async () => {
  await using server = await ExampleServer.start(MACHINE);
  await using client = await Client.connect(server, claims());
  const wrong = ["text", "null", "[]", { id: 1, text: "" }, { id: "", text: "" }, { id: "1" }, {
    id: "x".repeat(65),
    text: "",
  }];
  for (const message of wrong) client.send(message);
  for (const answer of (await client.messages(1 + wrong.length)).slice(1)) {
    assert.ok(answer instanceof Object && "error" in answer, JSON.stringify(answer));
  }
  client.send({ id: "1", text: "x".repeat(65_536) });
  assert.equal((await client.closed).code, 1009);
});

Deno.test("a machine without USER_ID keeps the first user, others are refused", async () => {
  await using server = await ExampleServer.start(MACHINE);
  const [own, others] = [sign(claims()), sign(claims({ sub: OTHER_USER_ID }))];
  assert.equal((await knock(server.port, `/?token=${own}`)).status, 101);
  const refused = await knock(server.port, `/?token=${others}`);
  assert.equal(refused.status, 401);
  assert.match(JSON.parse(refused.body).error, /belongs to another user/);
  assert.equal((await knock(server.port, `/?token=${own}`)).status, 101);
});

Deno.test("of two users who connect at once, one gets the machine", async () => {
  await using server = await ExampleServer.start(MACHINE);
  const tokens = Array.from({ length: 20 }, (_, i) => sign(claims({ sub: `user-${i % 2}` })));
  const answers = await Promise.all(tokens.map((token) => knock(server.port, `/?token=${token}`)));
  const letIn = answers.flatMap(({ status }, i) => status === 101 ? [i % 2] : []);
  assert.deepEqual([letIn.length, new Set(letIn).size], [10, 1]);
});

Deno.test("USER_ID names the user from the start", async () => {
  await using server = await ExampleServer.start(MACHINE, { env: { USER_ID } });
  const others = sign(claims({ sub: OTHER_USER_ID }));
  assert.equal((await knock(server.port, `/?token=${others}`)).status, 401);
  assert.equal((await knock(server.port, `/?token=${sign(claims())}`)).status, 101);
});

Deno.test("it pings: a client that responds stays, one that does not is disconnected", async () => {
  await using server = await ExampleServer.start(MACHINE, { env: { PING_SECONDS: "1" } });
  await using client = await Client.connect(server, claims());
  using silent = await RawSocket.open(server.port, `/?token=${sign(claims())}`);
  assert.equal((await silent.answer()).status, 101);
  const opcodes: number[] = [];
  await until("the silent one is disconnected", async () => {
    const frame = await within(10_000, silent.frame());
    opcodes.push(frame?.opcode ?? -1);
    return frame === undefined;
  });
  assert.ok(opcodes.includes(PING_FRAME), `${opcodes}`);
  client.send({ id: "1", text: "still here" });
  assert.deepEqual((await client.messages(3))[2], { ack: "1" });
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`${signal} closes each connection with 1001 and ends with 0`, async () => {
    await using server = await ExampleServer.start(MACHINE);
    await using client = await Client.connect(server, claims());
    const [event, { code }] = await Promise.all([client.closed, server.stop(signal)]);
    assert.deepEqual([event.code, code], [1001, 0]);
  });
}

Deno.test("a client that ignores the close does not keep it from ending", async () => {
  await using server = await ExampleServer.start(MACHINE);
  using silent = await RawSocket.open(server.port, `/?token=${sign(claims())}`);
  assert.equal((await silent.answer()).status, 101);
  await until("it is connected", () => server.output.includes('"connected"'));
  assert.equal((await within(10_000, server.stop("SIGTERM"))).code, 0);
});

Deno.test("without an id or a valid key it does not start", async () => {
  const settings: [Record<string, string>, RegExp][] = [
    [{ CONNECT_KEY: "" }, /^CONNECT_KEY is missing or malformed.*CONNECT_TOKEN_SECRET/],
    [{ CONNECT_KEY: "too-short" }, /^CONNECT_KEY is missing or malformed/],
    [{ MACHINE_ID: "" }, /^MACHINE_ID is missing/],
  ];
  for (const [env, message] of settings) {
    const { code, output } = await ExampleServer.runToEnd(MACHINE, env);
    assert.equal(code, 1);
    assert.match(output, message);
    assert.doesNotMatch(output, /listening|too-short/);
  }
});

Deno.test("plain HTTP gets 200 on the health path, and 426 elsewhere", async () => {
  await using server = await ExampleServer.start(MACHINE);
  const health = await fetch(`${server.url}/health`);
  assert.deepEqual([health.status, await health.json()], [200, { status: "pass" }]);
  const other = await fetch(`${server.url}/?token=${sign(claims())}`);
  assert.equal(other.status, 426);
  assert.match((await other.json()).error, /WebSocket/);
});

/** Rejects when the promise takes longer: a server that sends nothing must not make a test wait. */
async function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${timeoutMs} ms`)), timeoutMs);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
