/** The simulator's faults as a real `fetch` sees them over HTTP. */
import assert from "node:assert/strict";
import {
  type Clock,
  type FlyFaultRule,
  FlySimulator,
  serveFlySimulator,
  type ServeOptions,
  systemClock,
  VirtualClock,
} from "../../dev/stack/fly/mod.ts";
import { caller, MACHINE, onCreate, type Send, until } from "../support/fly-simulator.ts";

/** Runs a test against the simulator over real HTTP, with the real `fetch`. */
async function overHttp(
  test: (simulator: FlySimulator, send: Send, url: string) => Promise<void>,
  options: ServeOptions = {},
  clock: Clock = systemClock,
): Promise<void> {
  const simulator = new FlySimulator({ clock, settings: { rateLimits: null, startDelayMs: 0 } });
  const server = await serveFlySimulator(simulator, options);
  try {
    await test(simulator, caller(fetch, server.url), server.url);
  } finally {
    await server.shutdown();
  }
}

Deno.test("over HTTP: a reset before the effect, and one after it", async () => {
  await overHttp(async (simulator, send) => {
    simulator.addFault(onCreate({ kind: "reset", when: "before" }));
    await assert.rejects(send("POST /machines", MACHINE), TypeError);
    assert.equal(simulator.machines().length, 0);

    simulator.addFault(onCreate({ kind: "reset", when: "after" }));
    await assert.rejects(send("POST /machines", MACHINE), TypeError);
    assert.equal(simulator.machines().length, 1);
    assert.equal((await send("POST /machines", MACHINE)).status, 409);

    const seen = simulator.requests().map(({ status, tookEffect, faults }) => [
      status,
      tookEffect,
      ...faults,
    ]);
    assert.deepEqual(seen, [[null, false, "reset"], [null, true, "reset"], [409, false]]);
    assert.deepEqual(simulator.pendingFaults(), []);
  });
});

/** Sends two requests over one connection; answers how many were answered before it closed. */
async function answersOnOneConnection(url: string): Promise<number> {
  const { hostname, port } = new URL(url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const request = `GET /v1/platform/regions HTTP/1.1\r\nhost: ${hostname}\r\n\r\n`;
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65536);
  let received = "";
  let sent = 0;
  for (;;) {
    // A chunked answer ends with a chunk of no bytes.
    const answered = received.split("0\r\n\r\n").length - 1;
    if (answered === 2) return answered;
    if (sent === answered) {
      sent++;
      await connection.write(new TextEncoder().encode(request)).catch(() => 0);
    }
    const count = await connection.read(buffer).catch(() => null);
    if (count === null) return answered;
    received += decoder.decode(buffer.subarray(0, count));
  }
}

Deno.test("over HTTP: a connection is closed after each call, or kept if asked", async () => {
  await overHttp(async (_simulator, _send, url) => {
    assert.equal(await answersOnOneConnection(url), 1);
  });
  await overHttp(async (_simulator, _send, url) => {
    assert.equal(await answersOnOneConnection(url), 2);
  }, { keepAlive: true });
});

Deno.test("over HTTP: an answer cut in half breaks while it is read, after the effect", async () => {
  await overHttp(async (simulator, _send, url) => {
    simulator.addFault(onCreate({ kind: "half-answer" }));
    const response = await fetch(`${url}/v1/apps/demo/machines`, {
      method: "POST",
      headers: { authorization: "Bearer fly-simulator-token" },
      body: JSON.stringify(MACHINE),
    });
    assert.equal(response.status, 200);
    assert.ok(Number(response.headers.get("content-length")) > 100);
    await assert.rejects(response.text(), TypeError);
    assert.equal(simulator.machines().length, 1);
  });
});

Deno.test("over HTTP: garbage instead of JSON, after the effect", async () => {
  await overHttp(async (simulator, send) => {
    simulator.addFault(onCreate({ kind: "garbage" }));
    await assert.rejects(send("POST /machines", MACHINE), SyntaxError);
    simulator.addFault({ match: { action: "list" }, do: { kind: "garbage", body: '"fine"' } });
    assert.equal((await send("GET /machines")).json, "fine");
    assert.equal(simulator.machines().length, 1);
  });
});

Deno.test("over HTTP: any status with any body, with and without the effect", async () => {
  await overHttp(async (simulator, send) => {
    simulator.addFault(onCreate({ kind: "status", status: 503, body: { error: "upstream" } }));
    const refused = await send("POST /machines", MACHINE);
    assert.deepEqual([refused.status, refused.json], [503, { error: "upstream" }]);
    assert.ok(refused.headers.get("fly-request-id"));
    assert.equal(simulator.machines().length, 0);

    simulator.addFault(onCreate({
      kind: "status",
      status: 502,
      body: '{"proxy":true}',
      headers: { "Retry-After": "2", "Fly-Request-Id": "scripted" },
      effect: true,
    }));
    const lost = await send("POST /machines", MACHINE);
    assert.deepEqual([lost.status, lost.json], [502, { proxy: true }]);
    assert.equal(lost.headers.get("retry-after"), "2");
    assert.equal(lost.headers.get("fly-request-id"), "scripted");
    assert.equal(simulator.machines().length, 1);
    simulator.addFault({ match: {}, do: { kind: "status", status: 204 } });
    assert.equal((await send("GET /machines")).status, 204);
  });
});

Deno.test("over HTTP: a caller that hangs up during a delay does not stop the effect", async () => {
  const clock = new VirtualClock();
  await overHttp(
    async (simulator, _send, url) => {
      simulator.addFault(onCreate({ kind: "delay", ms: 1000, when: "before" }));
      const caller = new AbortController();
      const lost = assert.rejects(
        fetch(`${url}/v1/apps/demo/machines`, {
          method: "POST",
          headers: { authorization: "Bearer fly-simulator-token" },
          body: JSON.stringify(MACHINE),
          signal: caller.signal,
        }),
        { name: "AbortError" },
      );
      await until(() => clock.pending === 1);
      caller.abort();
      await lost;
      await until(() => simulator.requests()[0]?.clientLeft === true);
      assert.equal(simulator.machines().length, 0);
      await clock.advance(1000);
      assert.equal(simulator.machines().length, 1);
      const [record] = simulator.requests();
      assert.deepEqual([record?.tookEffect, record?.status], [true, null]);
    },
    {},
    clock,
  );
});

const delayed: FlyFaultRule = { match: {}, do: { kind: "delay", ms: 3_600_000, when: "before" } };

Deno.test("over HTTP: abandoned calls end without an answer, and the simulator stays usable", async () => {
  await overHttp(async (simulator, send) => {
    simulator.addFault(delayed);
    const lost = assert.rejects(send("GET /machines"), TypeError);
    await until(() => simulator.requests().length === 1);
    await simulator.abandonCalls();
    await lost;
    assert.equal((await send("GET /machines")).status, 200);
  });
});

Deno.test("over HTTP: shutdown ends calls under way and frees the port", async () => {
  const simulator = new FlySimulator();
  simulator.addFault(delayed);
  const server = await serveFlySimulator(simulator);
  const send = caller(fetch, server.url);
  const lost = assert.rejects(send("GET /machines"), TypeError);
  await until(() => simulator.requests().length === 1);
  await server.shutdown();
  await lost;
  assert.equal(simulator.callsInFlight, 0);
  await assert.rejects(send("GET /machines"), TypeError);
  assert.equal(simulator.requests().length, 1, "nothing listens any more");
  const again = await serveFlySimulator(simulator, { port: server.port });
  await again.shutdown();
});
