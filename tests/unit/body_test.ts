/** The request's body: what is taken as JSON, what is refused and how, and how long it may take. */
import assert from "node:assert/strict";
import { VirtualClock } from "../../dev/stack/clock.ts";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";
import { readJsonBody } from "../../supabase/functions/provision-machine/http/body.ts";

const LIMIT = 16 * 1024;
const NOT_JSON = "The body is not valid JSON in UTF-8";
const NOT_ARRIVED = "The body did not arrive";

interface Sent {
  body: BodyInit | null;
  type?: string | null;
  /** The Content-Length that is announced; none for a stream of unknown length. */
  length?: number;
}

function read({ body, type = "application/json", length }: Sent, clock = new VirtualClock()) {
  const request = new Request("http://localhost/provision-machine", {
    method: "POST",
    body,
    headers: {
      ...(type === null ? {} : { "content-type": type }),
      ...(length === undefined ? {} : { "content-length": String(length) }),
    },
  });
  return clock.run(readJsonBody(request, clock));
}

async function refusal(sent: Sent): Promise<AppError> {
  const error = await read(sent).then(() => null, (thrown: unknown) => thrown);
  assert.ok(error instanceof AppError, String(error));
  return error;
}

/** A body in chunks of this many bytes; `end` says what happens after the last. */
function stream(chunks: number[], end: "close" | "break" | "hang" = "close"): ReadableStream {
  let next = 0;
  return new ReadableStream({
    pull(controller) {
      const size = chunks[next++];
      if (size !== undefined) return controller.enqueue(new Uint8Array(size).fill(0x20));
      if (end === "close") controller.close();
      if (end === "break") controller.error(new Error("connection reset"));
      if (end === "hang") return new Promise(() => {});
    },
  });
}

const padded = (length: number) => `{${" ".repeat(length - 2)}}`;

Deno.test("body: what is taken", async () => {
  const cases: [sent: Sent, parsed: unknown][] = [
    [{ body: null, type: null }, {}],
    [{ body: "", type: null }, {}],
    [{ body: "", type: "text/plain", length: 0 }, {}],
    [{ body: "{}" }, {}],
    [{ body: '{"region":"iad"}', length: 16 }, { region: "iad" }],
    [{ body: "null" }, null],
    [{ body: '"ä😀"' }, "ä😀"],
    [{ body: "\uFEFF{}" }, {}],
    [{ body: "{}", type: "Application/JSON ; charset=UTF-8" }, {}],
    [{ body: padded(LIMIT) }, {}],
    [{ body: padded(LIMIT), length: LIMIT }, {}],
    [{ body: new Blob(["[1,", "2]"]).stream() }, [1, 2]],
  ];
  for (const [sent, parsed] of cases) {
    assert.deepEqual(await read(sent), parsed, JSON.stringify(sent).slice(0, 100));
  }
});

Deno.test("body: 415 unless it is said to be JSON", async () => {
  for (
    const type of [null, "text/plain", "application/x-www-form-urlencoded", "text/json", "json"]
  ) {
    const error = await refusal({ body: new TextEncoder().encode("{}"), type });
    assert.equal(error.code, "unsupported_media_type", String(type));
    assert.equal(error.message, "The body must be JSON");
    assert.deepEqual(error.headers, { accept: "application/json" });
  }
});

Deno.test("body: 400 for what is not JSON in UTF-8", async () => {
  const bodies = [
    "{region: iad}",
    '{"region":"iad"',
    "{}{}",
    "  ",
    new Uint8Array([0x22, 0xff, 0x22]),
    new Uint8Array([0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]),
  ];
  for (const body of bodies) {
    const error = await refusal({ body });
    assert.deepEqual([error.code, error.message], ["invalid_request", NOT_JSON], String(body));
    assert.deepEqual(error.fields, { issues: [{ path: "", message: NOT_JSON }] });
    assert.ok(error.cause instanceof Error);
  }
});

Deno.test("body: 413 over 16 KiB, announced or not", async () => {
  const bodies: Sent[] = [
    { body: padded(LIMIT + 1), length: LIMIT + 1 },
    { body: padded(LIMIT + 1) },
    // A length that is not true.
    { body: padded(LIMIT + 1), length: 10 },
    { body: stream([LIMIT, 1]) },
    { body: stream([LIMIT + 1], "hang") },
    // Refused before a byte is read.
    { body: stream([], "hang"), length: LIMIT + 1 },
    { body: padded(LIMIT + 1), type: "text/plain" },
  ];
  for (const sent of bodies) {
    const error = await refusal(sent);
    assert.deepEqual(
      [error.code, error.message],
      ["payload_too_large", "The body is larger than 16384 bytes"],
    );
  }
});

Deno.test("body: a body without end is refused after 16 KiB and no longer read", async () => {
  let pulled = 0;
  let cancelled = false;
  const body = new ReadableStream({
    pull(controller) {
      pulled++;
      controller.enqueue(new Uint8Array(1_000));
    },
    cancel() {
      cancelled = true;
    },
  });
  assert.equal((await refusal({ body })).code, "payload_too_large");
  assert.ok(pulled < 30, `${pulled} chunks`);
  assert.ok(cancelled);
});

Deno.test("body: 400 when the connection breaks", async () => {
  const error = await refusal({ body: stream([10], "break") });
  assert.deepEqual([error.code, error.message], ["invalid_request", NOT_ARRIVED]);
  assert.deepEqual(error.fields, { issues: [{ path: "", message: NOT_ARRIVED }] });
});

Deno.test("body: 400 after ten seconds without the end of the body", async () => {
  for (const length of [undefined, 100]) {
    const clock = new VirtualClock();
    const startedAt = clock.now();
    const sent = { body: stream([10], "hang"), ...(length === undefined ? {} : { length }) };
    await assert.rejects(
      read(sent, clock),
      (error: unknown) =>
        error instanceof AppError && error.code === "invalid_request" &&
        error.message === NOT_ARRIVED,
    );
    assert.equal(clock.now() - startedAt, 10_000);
    assert.equal(clock.pending, 0);
  }
});
