/** The client's connection: what it says, what it repeats, and when it gives up. */
import assert from "node:assert/strict";
import { connect } from "../../client/src/connection.ts";
import { ProvisionMachineError } from "../../client/src/errors.ts";
import type { ConnectOptions, WebSocketLike } from "../../client/src/types.ts";
import { until } from "../support/until.ts";

/** The machine's end of a socket. */
class FakeSocket implements WebSocketLike {
  static all: FakeSocket[] = [];
  readonly #listeners = new Map<string, ((event: { data: unknown; code: number }) => void)[]>();
  readonly heard: Record<string, unknown>[] = [];
  closedByClient = false;

  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }

  get query(): URLSearchParams {
    return new URL(this.url).searchParams;
  }

  send(data: string): void {
    this.heard.push(JSON.parse(data));
  }

  close(): void {
    this.closedByClient = true;
  }

  addEventListener(
    type: string,
    listener: (event: { data: unknown; code: number }) => void,
  ): void {
    this.#listeners.set(type, [...this.#listeners.get(type) ?? [], listener]);
  }

  happen(type: string, event: { data?: unknown; code?: number } = {}): void {
    for (const listener of this.#listeners.get(type) ?? []) {
      listener({ data: undefined, code: 0, ...event });
    }
  }

  say(message: unknown): void {
    this.happen("message", { data: JSON.stringify(message) });
  }

  /** Greets as examples/machine does. */
  greet(resumed: boolean): void {
    this.say({ machineId: "machine-1", session: this.query.get("session"), resumed });
  }

  end(code = 1006): void {
    this.happen("close", { code });
  }

  /** The texts among what it heard. */
  get texts(): unknown[] {
    return this.heard.map(({ text }) => text).filter((text) => text !== undefined);
  }
}

interface Conversation {
  connection: ReturnType<typeof connect>;
  received: string[];
  states: string[];
  lost: () => number;
  waits: number[];
  /** The socket that is opened next, or was last. */
  socket: (index: number) => Promise<FakeSocket>;
}

function converse(
  request: () => Promise<unknown> = () => Promise.resolve(),
  options: ConnectOptions = {},
): Conversation {
  const [received, states, waits]: [string[], string[], number[]] = [[], [], []];
  let lost = 0;
  FakeSocket.all = [];
  const connection = connect({
    request: async () => {
      await request();
      return {
        machineId: "machine-1",
        status: "running",
        websocketUrl: "wss://machine.example",
        token: "token",
        url: "wss://machine.example/?token=token",
        expiresAt: "",
        requestId: "",
      };
    },
    WebSocket: FakeSocket,
    wait: (ms) => Promise.resolve(void waits.push(ms)),
  }, {
    onMessage: (text) => received.push(text),
    onState: (state, error) => states.push(error ? `${state}: ${error.code}` : state),
    onLost: () => lost++,
    ...options,
  });
  const socket = (index: number) => until("it connects", () => FakeSocket.all[index]);
  return { connection, received, states, waits, lost: () => lost, socket };
}

Deno.test("what was not acknowledged is sent again over the next socket, and nothing else", async () => {
  const { connection, states, socket, waits } = converse();
  const [one, two] = [connection.send("one"), connection.send("two")];
  const first = await socket(0);
  assert.deepEqual(first.texts, [], "nothing before the machine has greeted");
  first.greet(false);
  assert.deepEqual(first.texts, ["one", "two"]);
  first.say({ ack: first.heard[0]?.["id"] });
  await one;
  first.end();
  const second = await socket(1);
  assert.equal(second.query.get("session"), first.query.get("session"));
  second.greet(true);
  assert.deepEqual(second.heard, [first.heard[1]]);
  // What still arrives of the socket before counts no more.
  first.say({ ack: first.heard[1]?.["id"] });
  second.say({ ack: second.heard[0]?.["id"] });
  await two;
  connection.close();
  await until("it is closed", () => states.at(-1) === "closed");
  assert.deepEqual(states, ["open", "connecting: network_error", "open", "closed"]);
  assert.ok(waits.length === 1 && (waits[0] ?? 0) <= 250, waits.join());
  assert.equal(second.closedByClient, true);
});

Deno.test("a text of the machine is delivered once, and confirmed", async () => {
  const { connection, received, lost, socket } = converse();
  const first = await socket(0);
  assert.equal(first.query.get("seen"), "0");
  first.greet(false);
  first.say({ seq: 1, text: "a" });
  first.say({ seq: 2, text: "b" });
  await until("it confirms", () => first.heard.length > 0);
  assert.deepEqual(first.heard, [{ seen: 2 }]);
  first.end();
  const second = await socket(1);
  assert.equal(second.query.get("seen"), "2");
  second.greet(true);
  second.say({ seq: 2, text: "b" });
  second.say({ seq: 3, text: "c" });
  assert.deepEqual([received, lost()], [["a", "b", "c"], 0]);
  connection.close();
});

Deno.test("texts are confirmed while more keep coming", async () => {
  const { connection, received, socket } = converse();
  const first = await socket(0);
  first.greet(false);
  while (first.heard.length === 0 && received.length < 1_000) {
    first.say({ seq: received.length + 1, text: "more" });
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.equal(first.heard.length, 1, `${received.length} texts`);
  connection.close();
});

Deno.test("a machine that was restarted, and one that left something out, are reported", async () => {
  const { connection, received, lost, socket } = converse();
  const first = await socket(0);
  first.greet(false);
  first.say({ seq: 1, text: "before" });
  first.end();
  const second = await socket(1);
  second.greet(false);
  assert.equal(lost(), 1);
  second.say({ seq: 1, text: "after" });
  second.say({ seq: 3, text: "later" });
  assert.deepEqual([received, lost()], [["before", "after", "later"], 2]);
  connection.close();
});

Deno.test("an error that another attempt does not change closes it, with everything unsent", async () => {
  const refused = new ProvisionMachineError("machine_state_conflict", "it is destroyed");
  const { connection, states } = converse(() => Promise.reject(refused));
  await assert.rejects(connection.send("too late"), refused);
  await until("it is closed", () => states.at(-1));
  assert.deepEqual(states, ["closed: machine_state_conflict"]);
  await assert.rejects(connection.send("later still"), refused);
});

Deno.test("one that may pass is waited out, as long as the answer says", async () => {
  const busy = new ProvisionMachineError("machine_state_conflict", "it is being provisioned", {
    retry: "new_key",
    retryAfterSeconds: 5,
  });
  let calls = 0;
  const { connection, waits, socket } = converse(() =>
    calls++ < 2 ? Promise.reject(busy) : Promise.resolve()
  );
  (await socket(0)).greet(false);
  assert.ok(waits.length === 2 && waits.every((ms) => ms >= 5_000), waits.join());
  connection.close();
});

Deno.test("a text that the machine refuses for its length is not sent for ever", async () => {
  const { connection, states, socket } = converse();
  const sent = connection.send("x".repeat(100_000));
  const first = await socket(0);
  first.greet(false);
  first.end(1009);
  await assert.rejects(sent, { code: "payload_too_large" });
  assert.equal(states.at(-1), "closed: payload_too_large");
});

Deno.test("an image that does not acknowledge is named, unless the caller speaks for itself", async () => {
  const silent = converse();
  (await silent.socket(0)).say({ hello: "world" });
  await until("it is closed", () => silent.states.at(-1)?.startsWith("closed"));
  const sockets: WebSocketLike[] = [];
  const { connection, states, socket } = converse(undefined, {
    onSocket: (socket) => sockets.push(socket),
  });
  const own = await socket(0);
  assert.equal(own.url, "wss://machine.example/?token=token");
  own.happen("open");
  own.say({ hello: "world" });
  assert.deepEqual([sockets, states], [[own], ["open"]]);
  await assert.rejects(connection.send("text"), { code: "network_error", retry: "no" });
  connection.close();
});
