/** The body of POST /provision-machine: what is taken, what is refused and how. */
import assert from "node:assert/strict";
import { assertError, assertProvisioned } from "../support/expectations.ts";
import { type Answer, startStack } from "../support/stack.ts";

const LIMIT = 16 * 1024;

/** Bodies that are refused with 400, and the paths that their issues name. */
const INVALID: Record<string, { body: unknown; paths: string[] }> = {
  "no JSON": { body: "{region: iad}", paths: [""] },
  "half a JSON": { body: '{"region":"iad"', paths: [""] },
  "two JSONs": { body: "{}{}", paths: [""] },
  "white space": { body: "  ", paths: [""] },
  "invalid UTF-8": {
    body: new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
    paths: [""],
  },
  "UTF-16": { body: new Uint8Array([0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]), paths: [""] },
  "an array": { body: [], paths: [""] },
  "an array of bodies": { body: [{}], paths: [""] },
  "null": { body: "null", paths: [""] },
  "a string": { body: '"iad"', paths: [""] },
  "a number": { body: "7", paths: [""] },
  "true": { body: "true", paths: [""] },
  "a deeply nested array": { body: "[".repeat(8_000) + "]".repeat(8_000), paths: [""] },
  "an unknown key": { body: { size: "xl" }, paths: [""] },
  "keys that only look alike": { body: { UserId: "x", cpupriority: "low" }, paths: [""] },
  "__proto__": { body: '{"__proto__":{"cpuPriority":"high"}}', paths: [""] },
  "constructor": { body: '{"constructor":{"prototype":{}}}', paths: [""] },
  "a userId that is no UUID": { body: { userId: "me" }, paths: ["userId"] },
  "a userId that is null": { body: { userId: null }, paths: ["userId"] },
  "a userId that is a number": { body: { userId: 7 }, paths: ["userId"] },
  "a region that does not exist": { body: { region: "xyz" }, paths: ["region"] },
  "a region in capitals": { body: { region: "IAD" }, paths: ["region"] },
  "an empty region": { body: { region: "" }, paths: ["region"] },
  "a region that is null": { body: { region: null }, paths: ["region"] },
  "a region that is a list": { body: { region: ["iad"] }, paths: ["region"] },
  "a very long region": { body: { region: "i".repeat(10_000) }, paths: ["region"] },
  "an unknown cpuPriority": { body: { cpuPriority: "turbo" }, paths: ["cpuPriority"] },
  "a cpuPriority in capitals": { body: { cpuPriority: "HIGH" }, paths: ["cpuPriority"] },
  "a cpuPriority that is null": { body: { cpuPriority: null }, paths: ["cpuPriority"] },
  "a cpuPriority of Object.prototype": {
    body: { cpuPriority: "constructor" },
    paths: ["cpuPriority"],
  },
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

  await t.step("the issue says which key is unknown and what is allowed", async () => {
    const issueOf = async (body: unknown) =>
      (await stack.call(user, { body })).body.issues[0].message as string;
    assert.match(await issueOf({ size: "xl" }), /size/);
    assert.match(await issueOf({ region: "xyz" }), /\biad\b.*\bams\b/);
    assert.match(await issueOf({ region: "fra" }), /\biad\b.*\bams\b/);
    assert.match(await issueOf({ cpuPriority: "turbo" }), /low.*normal.*high/);
  });

  await t.step("415: a body that does not say that it is JSON", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "text/json", ""]) {
      const headers = { "content-type": type };
      const answer = await stack.call(user, { headers, body: '{"region":"iad"}' });
      assertError(answer, 415, "unsupported_media_type");
      assert.equal(answer.headers.get("accept"), "application/json");
    }
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
      // The connection may break under the sender, who was still sending.
      (error): Pick<Answer, "status"> => {
        assert.ok(error instanceof TypeError);
        return { status: 413 };
      },
    );
    assert.equal(answer.status, 413);
  });

  await t.step("nothing of this left a row or reached Fly.io", async () => {
    assert.deepEqual(await stack.rowsOf(user), []);
    assert.deepEqual(stack.simulator.requests(), []);
  });

  await t.step("what is taken", async (t) => {
    const taken: Record<string, { body?: unknown; headers?: Record<string, string> }> = {
      "no body and no content type": {},
      "an empty body": { body: "" },
      "exactly 16 KiB": { body: padded(LIMIT) },
      "16 KiB in a stream": { body: streamed(LIMIT) },
      "a content type with parameters": {
        body: "{}",
        headers: { "content-type": "Application/JSON ; charset=UTF-8" },
      },
      "a byte order mark": { body: "\uFEFF{}" },
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
