/** The redactor: no protected secret survives, in whatever form it turns up, and nothing else changes. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { Redactor } from "../../supabase/functions/provision-machine/logging/redactor.ts";

/** Repeats a failing run: `UNIT_SEED=… deno task test:unit`. */
const SEED = Number(Deno.env.get("UNIT_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);

const TOKEN = "fo1_0123456789abcdefABCDEF-xyz";
const PASSWORD = 'pa"ss\\w/ö+rd = 1&2';

function redactorOf(...secrets: string[]): Redactor {
  const redactor = new Redactor();
  redactor.protect(secrets);
  return redactor;
}

const base64 = (text: string) => Buffer.from(text).toString("base64");
const base64Url = (text: string) => Buffer.from(text).toString("base64url");

Deno.test("redactor: every form of a secret is replaced whole", () => {
  const redactor = redactorOf(TOKEN, PASSWORD);
  const cases: [text: string, redacted: string][] = [
    [TOKEN, "[REDACTED]"],
    [`Bearer ${TOKEN}, again ${TOKEN}.`, "Bearer [REDACTED], again [REDACTED]."],
    [`password=${PASSWORD};`, "password=[REDACTED];"],
    [`?p=${encodeURIComponent(PASSWORD)}&q=1`, "?p=[REDACTED]&q=1"],
    [JSON.stringify({ p: PASSWORD }), '{"p":"[REDACTED]"}'],
    [`${base64(TOKEN)}`, "[REDACTED]"],
    [`<${base64(PASSWORD)}>`.replaceAll("=", ""), "<[REDACTED]>"],
    [`<${base64Url(PASSWORD)}>`, "<[REDACTED]>"],
    // After 0, 1 and 2 other bytes: what also depends on a neighbour stays.
    [base64(`abc${TOKEN}`), "YWJj[REDACTED]"],
    [base64(`a${TOKEN}`), "YW[REDACTED]g=="],
    [base64(`ab${TOKEN}`), "YWJ[REDACTED]o="],
  ];
  for (const [text, redacted] of cases) assert.equal(redactor.redact(text), redacted, text);
});

Deno.test("redactor: ordinary text and a part of a secret stay", () => {
  const redactor = redactorOf(TOKEN);
  for (const text of ["", "fo1_", TOKEN.slice(0, -1), TOKEN.slice(1), TOKEN.toUpperCase(), "é😀"]) {
    assert.equal(redactor.redact(text), text);
  }
});

Deno.test("redactor: values shorter than 6 characters are not protected", () => {
  const redactor = redactorOf("", "12345", "123456");
  assert.equal(redactor.redact("12345 6"), "12345 6");
  assert.equal(redactor.redact("123456"), "[REDACTED]");
});

Deno.test("redactor: a secret that contains another is replaced whole, in either order", () => {
  for (const secrets of [[TOKEN, `${TOKEN},${TOKEN}B`], [`${TOKEN},${TOKEN}B`, TOKEN]]) {
    const redactor = redactorOf(...secrets);
    assert.equal(redactor.redact(`<${TOKEN},${TOKEN}B>`), "<[REDACTED]>");
    assert.equal(redactor.redact(`<${TOKEN}>`), "<[REDACTED]>");
  }
});

Deno.test("redactor: a secret is protected until its last holder lets go", () => {
  const redactor = new Redactor();
  const first = redactor.protect([TOKEN]);
  const second = redactor.protect([TOKEN, "another-secret"]);
  first();
  // Letting go twice counts once.
  first();
  assert.equal(redactor.redact(`${TOKEN} another-secret`), "[REDACTED] [REDACTED]");
  second();
  assert.equal(redactor.redact(`${TOKEN} another-secret`), `${TOKEN} another-secret`);
});

Deno.test("redactor: letting go of the shortest secret leaves the others protected", () => {
  const redactor = redactorOf("nine-long");
  const letGo = redactor.protect(["six-ch"]);
  letGo();
  assert.equal(redactor.redact("nine-long"), "[REDACTED]");
  assert.equal(redactor.redact("six-ch"), "six-ch");
});

Deno.test("redactor: a text that begins like a token does not expand every token that is held", () => {
  const redactor = redactorOf(
    ...Array.from({ length: 200 }, (_, n) => `eyJhbGciOi${"x".repeat(400)}${n}`),
  );
  const { btoa } = globalThis;
  let encoded = 0;
  globalThis.btoa = (text) => {
    encoded++;
    return btoa(text);
  };
  try {
    for (let n = 0; n < 10; n++) redactor.redact(`DELETE /eyJhbGciOi ${"y".repeat(100)}`);
    assert.equal(encoded, 0);
    const long = `DELETE /eyJhbGciOi ${"y".repeat(1_000)}`;
    redactor.redact(long);
    const once = encoded;
    redactor.redact(long);
    assert.ok(once > 0);
    assert.equal(encoded, once);
  } finally {
    globalThis.btoa = btoa;
  }
});

Deno.test("redactor: secrets that begin alike are kept apart", () => {
  const redactor = redactorOf("sb_secret_aaaaaaaa", "sb_secret_bbbbbbbb");
  assert.equal(
    redactor.redact("sb_secret_aaaaaaaa sb_secret_bbbbbbbb sb_secret_cccccccc"),
    "[REDACTED] [REDACTED] sb_secret_cccccccc",
  );
});

Deno.test("redactor: a machine's key is found by its name, though its value is not known", () => {
  const key = "gQDRrUcu4MYvMGfadDmhY3dDHgxd6wD4Bb4xFEnUDJY";
  for (const redactor of [new Redactor(), redactorOf(TOKEN)]) {
    const cases: [text: string, redacted: string][] = [
      [JSON.stringify({ env: { CONNECT_KEY: key } }), '{"env":{"CONNECT_KEY":"[REDACTED]"}}'],
      [`"CONNECT_KEY" : "${key}"`, '"CONNECT_KEY" : "[REDACTED]"'],
      [
        JSON.stringify(JSON.stringify({ CONNECT_KEY: key })),
        '"{\\"CONNECT_KEY\\":\\"[REDACTED]\\"}"',
      ],
      [`A=1 CONNECT_KEY=${key} B=2`, "A=1 CONNECT_KEY=[REDACTED] B=2"],
      // Cut by whoever repeated it.
      [`{"CONNECT_KEY":"${key.slice(0, 7)}`, '{"CONNECT_KEY":"[REDACTED]'],
      ["CONNECT_KEY is missing", "CONNECT_KEY is missing"],
    ];
    for (const [text, redacted] of cases) assert.equal(redactor.redact(text), redacted, text);
  }
});

/** How software writes a string: each of these must be found anywhere in a text. */
const FORMS: Record<string, (secret: string, before: string, after: string) => string> = {
  plain: (secret) => secret,
  "URL-encoded": (secret) => encodeURIComponent(secret),
  "JSON-escaped": (secret) => JSON.stringify(secret),
  base64: (secret) => base64(secret),
  base64url: (secret) => base64Url(secret),
  "base64 of a text around it": (secret, before, after) => base64(`${before}${secret}${after}`),
  "base64url of a text around it": (secret, before, after) =>
    base64Url(`${before}${secret}${after}`),
};

const secrets = fc.oneof(
  fc.string({ minLength: 6, maxLength: 40, unit: "grapheme" }),
  fc.string({ minLength: 6, maxLength: 40, unit: "binary-ascii" }),
  fc.stringMatching(/^[\w.~-]{6,60}$/),
);
const around = fc.string({ maxLength: 8 });

Deno.test(`redactor: no form of any secret survives (seed ${SEED})`, () => {
  fc.assert(
    fc.property(
      fc.array(secrets, { minLength: 1, maxLength: 4 }),
      around,
      around,
      (known, before, after) => {
        const redactor = redactorOf(...known);
        for (const secret of known) {
          for (const [name, form] of Object.entries(FORMS)) {
            const text = `${before} ${form(secret, before, after)} ${after}`;
            const redacted = redactor.redact(text);
            assert.ok(redacted.includes("[REDACTED]"), `${name}: ${redacted}`);
            assert.ok(!revealed(redacted).some((said) => said.includes(secret)), name);
          }
        }
      },
    ),
    { seed: SEED, numRuns: 300 },
  );
});

Deno.test(`redactor: a text without the secret stays as it is (seed ${SEED})`, () => {
  fc.assert(
    fc.property(secrets, fc.string({ maxLength: 80 }), (secret, text) => {
      fc.pre(!revealed(text).some((said) => said.includes(secret)));
      assert.equal(redactorOf(secret).redact(text), text);
    }),
    { seed: SEED, numRuns: 300 },
  );
});

/** The text itself, and what a reader gets by decoding any part of it. */
function revealed(text: string): string[] {
  const words = text.split(/\[REDACTED\]|[^A-Za-z0-9+/_-]+/);
  const decoded = words.flatMap((word) =>
    [0, 1, 2, 3].map((offset) => Buffer.from(word.slice(offset), "base64").toString())
  );
  const urlDecoded = text.replaceAll(/(%[0-9A-F]{2})+/g, (encoded) => {
    try {
      return decodeURIComponent(encoded);
    } catch {
      return encoded;
    }
  });
  return [text, urlDecoded, text.replaceAll(/\\(["\\])/g, "$1"), ...decoded];
}
