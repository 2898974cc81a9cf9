/** A log record as one line of JSON or as text: redacted, truncated, and never two events in one. */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  createFormatter,
  type LogFormat,
  truncate,
} from "../../supabase/functions/provision-machine/logging/log-format.ts";
import { Redactor } from "../../supabase/functions/provision-machine/logging/redactor.ts";

/** Repeats a failing run: `UNIT_SEED=… deno task test:unit`. */
const SEED = Number(Deno.env.get("UNIT_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);

const SECRET = "fo1_a-secret-of-the-test";
const AT = "2026-11-26T12:00:00.000Z";

type LogRecord = Parameters<ReturnType<typeof createFormatter>>[0];

function format(
  message: string,
  properties: Record<string, unknown> = {},
  as: LogFormat = "json",
  category: string[] = ["provision-machine"],
): string {
  const redactor = new Redactor();
  redactor.protect([SECRET]);
  const record: LogRecord = {
    category,
    level: "info",
    timestamp: Date.parse(AT),
    rawMessage: message,
    message: ["rendered ", "by LogTape"],
    properties,
  };
  return createFormatter(as, redactor)(record);
}

const fieldsOf = (properties: Record<string, unknown>) => {
  const { timestamp: _1, level: _2, message: _3, ...fields } = JSON.parse(format("m", properties));
  return fields;
};

Deno.test("log format: one line of JSON", () => {
  assert.equal(
    format("Machine {ready}", { requestId: "r-1", none: undefined, nothing: null, n: 1, ok: true }),
    `{"timestamp":"${AT}","level":"info","message":"Machine {ready}","requestId":"r-1","nothing":null,"n":1,"ok":true}`,
  );
});

Deno.test("log format: the lines of `text` are not part of the JSON", () => {
  assert.deepEqual(fieldsOf({ text: () => ["a"], n: 1 }), { n: 1 });
});

Deno.test("log format: messages of LogTape itself are templates", () => {
  assert.equal(
    JSON.parse(format("{x}", {}, "json", ["logtape", "meta"])).message,
    "rendered by LogTape",
  );
});

Deno.test("log format: keys that name secrets are hidden at any depth, others are not", () => {
  const secret = [
    "authorization",
    "Authorization",
    "apikey",
    "cookie",
    "set-cookie",
    "password",
    "secret",
    "token",
    "access_token",
    "refresh_token",
    "FLY_API_TOKEN",
    "DATABASE_PASSWORD",
    "SUPABASE_SECRET_KEYS",
    "stripe_key",
  ];
  for (const key of secret) {
    assert.deepEqual(fieldsOf({ [key]: "hidden" }), { [key]: "[REDACTED]" }, key);
    assert.deepEqual(
      fieldsOf({ a: [{ [key]: { deep: "hidden" } }] }),
      { a: [{ [key]: "[REDACTED]" }] },
      key,
    );
  }
  for (
    const key of ["idempotency_key", "tokens", "passwords", "keys", "monkey", "keyboard_layout"]
  ) {
    assert.deepEqual(fieldsOf({ [key]: "shown" }), { [key]: "shown" }, key);
  }
});

Deno.test("log format: known secrets are hidden wherever they stand", () => {
  const line = format(`a ${SECRET} b`, {
    field: `x${SECRET}`,
    list: [SECRET],
    [`key ${SECRET}`]: 1,
    escaped: JSON.stringify({ a: `"${SECRET}"` }),
  });
  assert.ok(!line.includes(SECRET));
  assert.equal(JSON.parse(line).message, "a [REDACTED] b");
  assert.equal(JSON.parse(line).field, "x[REDACTED]");
  const lines = { text: () => [`first ${SECRET}`] };
  for (const properties of [lines, { [`key ${SECRET}`]: 1 }, { requestId: SECRET }]) {
    assert.ok(!format(SECRET, properties, "text").includes(SECRET));
  }
});

Deno.test("log format: a secret is redacted before the text is truncated", () => {
  for (const before of [1_180, 1_190, 1_199, 1_200]) {
    assert.ok(!format("m", { field: "x".repeat(before) + SECRET }).includes("fo1_"), `${before}`);
  }
  assert.ok(!format("x".repeat(2_390) + SECRET).includes("fo1_"));
});

Deno.test("log format: long fields, stacks and messages are truncated, and say so", () => {
  const long = "x".repeat(3_000);
  const cut = (length: number) => `${"x".repeat(length)}…[cut, 3000 characters in all]`;
  const { message, field, list, error } = JSON.parse(
    format(long, { field: long, list: [long], error: { stack: long } }),
  );
  assert.equal(message, cut(2_400));
  assert.equal(field, cut(1_200));
  assert.deepEqual(list, [cut(1_200)]);
  assert.equal(error.stack, cut(2_400));
  assert.deepEqual(fieldsOf({ field: "x".repeat(1_200) }), { field: "x".repeat(1_200) });
});

Deno.test("log format: lists, depth and numbers that JSON does not know", () => {
  assert.equal(fieldsOf({ list: Array(60).fill(1) }).list.length, 50);
  const circle: Record<string, unknown> = {};
  circle["self"] = circle;
  assert.match(format("m", circle), /"\[nested too deeply\]"/);
  assert.deepEqual(fieldsOf({ big: 2n ** 70n }), { big: "1180591620717411303424" });
});

Deno.test("log format: an event over 9,000 characters keeps its ids and a part of its fields", () => {
  const ids = { requestId: "r-1", machineId: "m-1", userId: "u-1" };
  const fields = Object.fromEntries(
    Array.from({ length: 20 }, (_, n) => [`field${n}`, "x".repeat(1_000)]),
  );
  const line = format("m", { ...ids, ...fields });
  assert.ok(line.length < 10_000, `${line.length} characters`);
  const { fields: shortened, ...rest } = JSON.parse(line);
  assert.deepEqual(rest, { timestamp: AT, level: "info", message: "m", ...ids });
  assert.match(shortened, /^\{"requestId":"r-1",.*x…\[cut, \d+ characters in all\]$/);
});

Deno.test("log format: text has a time stamp on each line, lists indented, and the ids at the end", () => {
  const p = `[${AT}]`;
  const ids = { requestId: "r-1", userId: "u-1" };
  const text = () => ["Environment check:", "  - FLY_APP_NAME: my-app"];
  assert.equal(
    format("m", { ...ids, text, more: 1 }, "text"),
    `${p} Environment check:\n  - FLY_APP_NAME: my-app\n${p}   requestId=r-1 userId=u-1`,
  );
  // What the lines do not say follows as JSON.
  assert.equal(
    format("Failed", { ...ids, more: 1 }, "text"),
    `${p} Failed\n${p}   {"more":1}\n${p}   requestId=r-1 userId=u-1`,
  );
  assert.equal(format("Failed", {}, "text"), `${p} Failed`);
});

Deno.test("log format: text of others cannot forge a line, whatever breaks it", () => {
  const p = `[${AT}]`;
  for (const newline of ["\n", "\r\n", "\r", "\u2028", "\u2029"]) {
    assert.equal(
      format(`Failed: a${newline}[2026-01-01T00:00:00.000Z] ✅ forged`, {}, "text"),
      `${p} Failed: a\n${p}   [2026-01-01T00:00:00.000Z] ✅ forged`,
    );
  }
});

Deno.test("log format: text is truncated at 9,000 characters", () => {
  const text = format("m", { text: () => ["x".repeat(20_000)] }, "text");
  assert.match(text, /x…\[cut, 20027 characters in all\]$/);
  assert.ok(text.length < 9_100);
});

Deno.test("log format: truncate leaves no half of a surrogate pair", () => {
  assert.equal(truncate("abc", 3), "abc");
  assert.equal(truncate("abcd", 3), "abc…[cut, 4 characters in all]");
  const cut = truncate("ab😀d", 3);
  assert.equal(cut, "ab\uFFFD…[cut, 5 characters in all]");
  assert.ok(cut.isWellFormed());
});

Deno.test(`log format: whatever is logged, one line, valid, bounded, without the secret (seed ${SEED})`, () => {
  const key = fc.string({ maxLength: 10 }).filter((name) => name !== "text");
  const value = fc.oneof(
    fc.anything({ maxDepth: 2, withBigInt: true }),
    fc.string({ maxLength: 4_000 }).map((text) => text + SECRET + text),
  );
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.dictionary(key, value), (message, properties) => {
      const line = format(`${message}${SECRET}`, { ...properties });
      assert.doesNotMatch(line, /[\n\r]/);
      assert.ok(!line.includes(SECRET));
      assert.equal(JSON.parse(line).level, properties["level"] ?? "info");
      assert.ok(!format(message, { ...properties, x: SECRET }, "text").includes(SECRET));
    }),
    { seed: SEED, numRuns: 60 },
  );
});
