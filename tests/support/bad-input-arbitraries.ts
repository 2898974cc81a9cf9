/** Requests that no client should send: method, path, query, headers and body. */
import fc from "fast-check";

/** What a valid request can be made of. */
export interface Valid {
  userId: string;
  accessToken: string;
  secretKey: string;
  /** Signed with the project's own secret, but with claims that no user's token has. */
  oddTokens: string[];
}

/** A request as plain values, so that a failing one can be printed. */
export interface OddRequest {
  method: string;
  /** With the query. */
  path: string;
  headers: Record<string, string>;
  body: string | Uint8Array<ArrayBuffer> | null;
  /** The body arrives in parts of this size; 0: whole. */
  chunkBytes: number;
  /** The body breaks off after its first part. */
  breaksOff: boolean;
}

const MAX_BODY_BYTES = 16 * 1024;
const anyOf = <T>(...values: T[]) => fc.constantFrom(...values);
/** What may be in a header: characters of one byte, no line breaks. */
const headerText = (maxLength = 60) =>
  fc.string({
    unit: fc.integer({ min: 0x21, max: 0xff }).map((n) => String.fromCharCode(n)),
    maxLength,
  });
/** Words of our own answers and log lines, which a caller must not be able to change. */
const ownWords = anyOf(
  "provision-machine",
  "unauthorized",
  '"requestId":"',
  '","level":"error"',
  "machineId",
  "message",
  '{"timestamp":',
);

const method = fc.oneof(
  { weight: 6, arbitrary: anyOf("POST", "DELETE", "GET") },
  { weight: 1, arbitrary: anyOf("PUT", "PATCH", "HEAD", "OPTIONS", "PROPFIND", "BREW", "post") },
);

const segment = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }).map((text) =>
    encodeURIComponent(text.toWellFormed())
  ),
  anyOf("%", "%zz", "%ff%fe", "%00", "..", "%2e%2e%2f", "%2F", "*", "{machineId}", "machine-1"),
  anyOf("health", "metrics", "reconcile", "Reconcile", "reconcile%20", "constructor", "__proto__"),
  fc.integer({ min: 100, max: 5_000 }).map((length) => "m".repeat(length)),
  fc.uuid(),
);
const path = fc.tuple(
  fc.oneof(
    { weight: 5, arbitrary: anyOf("/provision-machine") },
    {
      weight: 1,
      arbitrary: anyOf("", "/functions/v1/provision-machine", "/provision-machinex", "//"),
    },
  ),
  fc.oneof(
    { weight: 4, arbitrary: anyOf("", "/") },
    { weight: 5, arbitrary: segment.map((name) => `/${name}`) },
    {
      weight: 1,
      arbitrary: fc.array(segment, { maxLength: 4 }).map((names) => `/${names.join("/")}`),
    },
  ),
  fc.option(fc.webQueryParameters(), { nil: "" }),
).map(([prefix, rest, query]) => (prefix + rest || "/") + (query === "" ? "" : `?${query}`));

const credentials = (valid: Valid): fc.Arbitrary<Record<string, string>> => {
  const bearer = (token: string): Record<string, string> => ({
    authorization: `Bearer ${token}`,
  });
  const garbage = fc.oneof(headerText(), ownWords, anyOf("a.b.c", "..", "e30.e30.", "null"));
  return fc.oneof(
    { weight: 5, arbitrary: anyOf(bearer(valid.accessToken), { apikey: valid.secretKey }) },
    { weight: 2, arbitrary: fc.record({ apikey: garbage }) },
    { weight: 2, arbitrary: garbage.map(bearer) },
    { weight: 1, arbitrary: anyOf(...valid.oddTokens).map(bearer) },
    { weight: 1, arbitrary: fc.record({ authorization: headerText(300) }) },
    { weight: 1, arbitrary: anyOf<Record<string, string>>({}) },
  );
};

const otherHeaders: fc.Arbitrary<Record<string, string>> = fc.record({
  "idempotency-key": fc.oneof(headerText(), anyOf("", "k".repeat(255), "k".repeat(256), "a b")),
  prefer: fc.oneof(headerText(), anyOf("respond-async", "wait=0", ";;,,=", "respond-async;x=1, x")),
  "x-request-id": fc.oneof(headerText(), ownWords, anyOf("", "a".repeat(129), "good-id_1.2")),
  traceparent: fc.oneof(
    headerText(),
    anyOf(`00-${"1".repeat(32)}-${"2".repeat(16)}-01`, "00-0-0-0"),
  ),
  origin: fc.oneof(headerText(), anyOf("null", "https://app.example.com")),
  "content-length": anyOf("-1", "abc", "0", "99999999999999999999", "1e9"),
  "content-encoding": anyOf("gzip", "br", "x"),
  "x-forwarded-for": headerText(),
}, { requiredKeys: [] });

const contentType = fc.oneof(
  { weight: 6, arbitrary: anyOf("application/json", "APPLICATION/JSON; charset=utf-8") },
  {
    weight: 1,
    arbitrary: fc.oneof(headerText(), anyOf("", "text/plain", "application/json5", ";")),
  },
);

const bodyObject = (valid: Valid) =>
  fc.record({
    userId: fc.oneof(
      anyOf<unknown>(valid.userId, valid.userId.toUpperCase()),
      fc.uuid(),
      fc.jsonValue(),
    ),
    region: fc.oneof(anyOf<unknown>("iad", "ams", "IAD", "", null), fc.string(), fc.jsonValue()),
    cpuPriority: fc.oneof(anyOf<unknown>("low", "high", "LOW", "constructor"), fc.jsonValue()),
    extra: fc.jsonValue(),
  }, { requiredKeys: [] });
const body = (valid: Valid): fc.Arbitrary<OddRequest["body"]> =>
  fc.oneof(
    { weight: 6, arbitrary: bodyObject(valid).map((object) => JSON.stringify(object)) },
    { weight: 2, arbitrary: fc.json() },
    { weight: 2, arbitrary: anyOf(null, "", "{}", "[]", "null", "{", "\ufeff{}", "{}{}", "NaN") },
    {
      weight: 1,
      arbitrary: anyOf(
        '{"__proto__":{"userId":"x"},"constructor":1}',
        '{"region":"iad","region":"ams"}',
        `${"[".repeat(8_000)}${"]".repeat(8_000)}`,
        `{"region":"${"x".repeat(10_000)}"}`,
        '{"region":"\\ud800"}',
        '{"region":"\\u0000"}',
      ),
    },
    {
      weight: 1,
      arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => new Uint8Array(bytes)),
    },
    {
      weight: 1,
      arbitrary: fc.integer({ min: -2, max: 2 }).map((off) => padded(MAX_BODY_BYTES + off)),
    },
    { weight: 1, arbitrary: anyOf(padded(100_000)) },
  );

/** An object of exactly so many bytes. */
function padded(bytes: number): string {
  return `{}${" ".repeat(bytes - 2)}`;
}

/** Any request, most of them wrong in one or two places only. */
export function oddRequests(valid: Valid): fc.Arbitrary<OddRequest> {
  return fc.record({
    method,
    path,
    headers: fc.tuple(credentials(valid), otherHeaders, contentType).map(
      ([credentials, others, type]) => ({ ...others, ...credentials, "content-type": type }),
    ),
    body: body(valid),
    chunkBytes: anyOf(0, 0, 0, 1, 1_000),
    breaksOff: anyOf(false, false, false, false, true),
  });
}
