// Sessions of the example machine: what it sends is kept until the client has confirmed it.
import assert from "node:assert/strict";
import { Sessions } from "../../examples/machine/sessions.mjs";
import { until } from "../support/until.ts";
import { Client } from "./client.ts";
import { ExampleServer, MACHINE } from "./example-server.ts";
import { claims, MACHINE_ID, USER_ID } from "./tokens.ts";

const ID = "session-1";

interface Numbered {
  seq: number;
  text: string;
}

/** Opens a session of `sessions` and collects what it delivers. */
function open(sessions: Sessions, seen: number, id = ID) {
  const opened = sessions.open(`/?token=t&session=${id}&seen=${seen}`);
  assert.ok(opened);
  const delivered: string[] = [];
  opened.session.attach(({ seq, text }: Numbered) => delivered.push(`${seq} ${text}`));
  return { ...opened, delivered };
}

Deno.test("a session goes on with what its client has not seen", () => {
  const sessions = new Sessions();
  const first = open(sessions, 0);
  assert.equal(first.resumed, false);
  for (const text of ["a", "b", "c"]) first.session.send(text);
  first.session.confirm(1);
  const second = open(sessions, 2);
  assert.deepEqual([second.resumed, second.delivered], [true, ["3 c"]]);
  // Said over the connection before, which is still read from: heard over the new one.
  first.session.send("d");
  assert.deepEqual([first.delivered.length, second.delivered], [3, ["3 c", "4 d"]]);
});

Deno.test("a session that lacks something begins anew", () => {
  const sessions = new Sessions();
  open(sessions, 0).session.send("a");
  // More than it ever sent, and less than what it was told to forget.
  assert.equal(open(sessions, 2).resumed, false);
  const { session } = open(sessions, 0, "session-2");
  for (let n = 0; n < 1_001; n++) session.send(`${n}`);
  assert.equal(open(sessions, 0, "session-2").resumed, false);
  const { session: other } = open(sessions, 0, "session-3");
  for (let n = 0; n < 1_000; n++) other.send(`${n}`);
  assert.equal(open(sessions, 0, "session-3").delivered.length, 1_000);
});

Deno.test("the newest 100 sessions are kept, and only those with a proper id", () => {
  const sessions = new Sessions();
  open(sessions, 0, "the-first").session.send("a");
  open(sessions, 0, "the-second").session.send("a");
  for (let n = 0; n < 98; n++) open(sessions, 0, `session-${n}`);
  assert.equal(open(sessions, 0, "the-first").resumed, true);
  open(sessions, 0, "one-more");
  assert.equal(open(sessions, 0, "the-second").resumed, false);
  for (const query of ["", "?seen=0", "?session=short", "?session=long-enough&seen=x"]) {
    assert.equal(sessions.open(`/${query}`), undefined, query);
  }
});

Deno.test("the machine numbers its texts for a client that names a session", async () => {
  await using server = await ExampleServer.start(MACHINE);
  const greeting = { machineId: MACHINE_ID, userId: USER_ID, session: ID };
  {
    await using client = await Client.connect(server, claims(), "/", `&session=${ID}&seen=0`);
    client.send({ id: "1", text: "one" });
    client.send({ id: "2", text: "two" });
    assert.deepEqual(await client.messages(5), [
      { ...greeting, resumed: false },
      { seq: 1, text: "one" },
      { ack: "1" },
      { seq: 2, text: "two" },
      { ack: "2" },
    ]);
    client.send({ seen: 1 });
    client.send({ id: "2", text: "two" });
    assert.deepEqual((await client.messages(6))[5], { ack: "2" });
  }
  await using client = await Client.connect(server, claims(), "/", `&session=${ID}&seen=1`);
  await until("the rest arrives", () => client.received.length > 1);
  assert.deepEqual(client.received, [{ ...greeting, resumed: true }, { seq: 2, text: "two" }]);
  // What was confirmed is forgotten.
  await using late = await Client.connect(server, claims(), "/", `&session=${ID}&seen=0`);
  assert.deepEqual(late.received, [{ ...greeting, resumed: false }]);
});
