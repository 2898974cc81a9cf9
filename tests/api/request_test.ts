/** The body of POST /provision-machine: what is accepted, what is refused and how. */
import assert from "node:assert/strict";
import { assertError, assertProvisioned } from "../support/expectations.ts";
import { type Answer, startStack } from "../support/stack.ts";

const LIMIT = 16 * 1024;

/**
 * Bodies that are refused with 400, and the paths that their issues name: one of each kind; the unit
 * tests of body and request have all of them.
 */
const INVALID: Record<string, { body: unknown; paths: string[] }> = {
  "half a JSON": { body: '{"region":"iad"', paths: [""] },
  "invalid UTF-8": {
    body: new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
    paths: [""],
  },
  "a deeply nested array": { body: "[".repeat(8_000) + "]".repeat(8_000), paths: [""] },
  "an unknown key": { body: { size: "xl" }, paths: [""] },
  "several mistakes": {
    body: { userId: "me", cpuPriority: 7, region: 7 },
    paths: ["userId", "region", "cpuPriority"],
  },
};

Deno.test("the request's body", async (t) => {
  await using stack = await startStack({ env: { FLY_REGIONS: "iad,ams" } });
  const user = await stack.supabase.createUser();

  for (const [name, { body, paths }] of Object.entries(INVALID)) {
    await t.step(`400: ${name}`, async () => {
      const answer = await stack.call(user, { body });
      assertError(answer, 400, "invalid_request", ["issues"]);
      const issues = answer.body.issues as { path: string; message: string }[];
      assert.deepEqual(issues.map(({ path }) => path), paths);
      for (const issue of issues) {
        assert.deepEqual(Object.keys(issue), ["path", "message"]);
        assert.ok(issue.message !== "" && issue.message.length < 300, issue.message);
        assert.ok(answer.body.error.includes(issue.message));
      }
    });
  }

  await t.step("415: a body that does not say that it is JSON", async () => {
    const headers = { "content-type": "text/plain" };
    const answer = await stack.call(user, { headers, body: '{"region":"iad"}' });
    assertError(answer, 415, "unsupported_media_type");
    assert.equal(answer.headers.get("accept"), "application/json");
  });

  await t.step("413: a body over 16 KiB, announced", async () => {
    assertError(await stack.call(user, { body: padded(LIMIT + 1) }), 413, "payload_too_large");
  });

  await t.step("413: a body over 16 KiB, streamed without an announced length", async () => {
    const answer = await stack.call(user, { body: streamed(LIMIT + 1) });
    assertError(answer, 413, "payload_too_large");
  });

  await t.step("413: a body without end", async () => {
    const answer = await stack.call(user, { body: streamed(Infinity) }).catch(
      // The connection may break while the body is still being sent.
      (error): Pick<Answer, "status"> => {
        assert.ok(error instanceof TypeError);
        return { status: 413 };
      },
    );
    assert.equal(answer.status, 413);
  });

  await t.step("none of these left a row or reached Fly.io", async () => {
    assert.deepEqual(await stack.rowsOf(user), []);
    assert.deepEqual(stack.simulator.requests(), []);
  });

  await t.step("what is accepted", async (t) => {
    const taken: Record<string, { body?: unknown; headers?: Record<string, string> }> = {
      "no body and no content type": {},
      "16 KiB in a stream": { body: streamed(LIMIT) },
      "a content type with parameters": {
        body: "{}",
        headers: { "content-type": "Application/JSON ; charset=UTF-8" },
      },
      "everything": { body: { userId: "", region: "ams", cpuPriority: "high" } },
    };
    for (const [name, { body, headers = {} }] of Object.entries(taken)) {
      await t.step(name, async () => {
        const caller = await stack.supabase.createUser();
        const own = typeof body === "object" && body !== null && "userId" in body
          ? { ...body, userId: caller.id }
          : body;
        await assertProvisioned(stack, await stack.call(caller, { body: own, headers }));
      });
    }
  });
});

/** `{}` with white space to the given length in bytes. */
function padded(length: number): string {
  return `{${" ".repeat(length - 2)}}`;
}

/** The same in chunks, so that no length can be announced. */
function streamed(length: number): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let sent = 0;
  return new ReadableStream({
    pull(controller) {
      const size = Math.min(1_000, length - sent - 1);
      if (size <= 0) {
        controller.enqueue(encoder.encode("}"));
        controller.close();
        return;
      }
      controller.enqueue(
        encoder.encode(sent === 0 ? `{${" ".repeat(size - 1)}` : " ".repeat(size)),
      );
      sent += size;
    },
  });
}
