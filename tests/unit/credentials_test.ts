/** Credentials: which headers make a service, which make a user, and which are secrets. */
import assert from "node:assert/strict";
import {
  callerSecrets,
  credentialsOf,
  isService,
  isServiceKey,
} from "../../supabase/functions/provision-machine/auth/credentials.ts";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";

const KEY = "sb_secret_0123456789abcdefghij";
const OTHER_KEY = "sb_secret_another-0123456789abc";
const KEYS = [KEY, OTHER_KEY];
const LEGACY_KEY = `eyJ${"h".repeat(20)}.${"r".repeat(20)}.${"s".repeat(20)}`;
const PUBLISHABLE = "sb_publishable_0123456789abcdefg";
const TOKEN = `${"h".repeat(20)}.${"p".repeat(20)}.${"s".repeat(20)}`;

const SERVICE = { kind: "service" };
const PROJECT = { serviceKeys: KEYS, legacyKey: LEGACY_KEY };
const LEGACY = { kind: "legacy-key" };
const USER = { kind: "user-token", token: TOKEN };
const NONE = "No credentials: send the user's access token as Authorization: Bearer";
const TOO_LONG = "No token or key has more than 8192 characters";
const INVALID = "The credentials are neither a user's access token nor a valid secret key";

/** Headers and what they amount to: credentials, or the error. */
const CASES: [headers: Record<string, string>, expected: object | string][] = [
  [{ apikey: KEY }, SERVICE],
  [{ apikey: OTHER_KEY }, SERVICE],
  [{ apikey: ` ${KEY} ` }, SERVICE],
  [{ authorization: `Bearer ${KEY}` }, SERVICE],
  [{ authorization: `bearer   ${OTHER_KEY}  ` }, SERVICE],
  [{ authorization: `Bearer ${KEY}`, apikey: PUBLISHABLE }, SERVICE],
  [{ authorization: "Bearer not-a-jwt", apikey: KEY }, SERVICE],
  [{ authorization: `Bearer ${TOKEN}` }, USER],
  [{ authorization: `Bearer ${TOKEN}`, apikey: PUBLISHABLE }, USER],
  // The lesser of the two rights.
  [{ authorization: `Bearer ${TOKEN}`, apikey: KEY }, USER],
  [{ apikey: LEGACY_KEY }, LEGACY],
  [{ authorization: `Bearer ${LEGACY_KEY}` }, LEGACY],
  [{ authorization: `Bearer ${LEGACY_KEY}`, apikey: KEY }, LEGACY],
  [{ authorization: `Bearer ${KEY}`, apikey: LEGACY_KEY }, SERVICE],
  [{ authorization: `Bearer ${TOKEN}`, apikey: LEGACY_KEY }, USER],
  [{ authorization: "Bearer a.b." }, { kind: "user-token", token: "a.b." }],
  [{}, NONE],
  [{ authorization: "" }, NONE],
  [{ authorization: "Bearer" }, NONE],
  [{ authorization: `Basic ${TOKEN}` }, NONE],
  [{ authorization: `Bearer ${TOKEN} more` }, NONE],
  [{ apikey: "" }, INVALID],
  [{ apikey: PUBLISHABLE }, INVALID],
  [{ apikey: KEY.slice(0, -1) }, INVALID],
  [{ apikey: `${KEY}x` }, INVALID],
  [{ authorization: "Bearer not-a-jwt" }, INVALID],
  [{ authorization: "Bearer a.b" }, INVALID],
  [{ authorization: "Bearer a.b.c.d" }, INVALID],
  [{ authorization: "Bearer a.b.c=" }, INVALID],
  [{ authorization: `Bearer ${TOKEN}${"s".repeat(8_200)}` }, TOO_LONG],
  [{ authorization: `Bearer ${TOKEN}`, apikey: "k".repeat(8_193) }, TOO_LONG],
];

Deno.test("credentials: what each combination of headers amounts to", () => {
  for (const [given, expected] of CASES) {
    const headers = new Headers(given);
    const name = JSON.stringify(given);
    if (typeof expected === "object") {
      assert.deepEqual(credentialsOf(headers, PROJECT), expected, name);
    } else {
      assert.throws(() => credentialsOf(headers, PROJECT), (thrown) => {
        assert.ok(thrown instanceof AppError);
        assert.deepEqual([thrown.code, thrown.message], ["unauthorized", expected], name);
        assert.deepEqual(thrown.headers, { "www-authenticate": "Bearer" });
        return true;
      });
    }
    assert.equal(isService(headers, KEYS), expected === SERVICE, name);
  }
});

Deno.test("credentials: without keys there is no service", () => {
  for (const apikey of ["", KEY, "undefined"]) {
    assert.equal(isService(new Headers({ apikey }), []), false);
  }
});

Deno.test("credentials: only what can be a secret is one", () => {
  const cases: [headers: Record<string, string>, secrets: string[]][] = [
    [{}, []],
    [{ apikey: KEY }, [KEY]],
    [{ apikey: PUBLISHABLE, authorization: `Bearer ${TOKEN}` }, [PUBLISHABLE, TOKEN]],
    [{ authorization: `Bearer ${KEY}` }, [KEY]],
    // Refused, and so never used.
    [{ authorization: `Bearer ${TOKEN}${"s".repeat(8_200)}` }, []],
    // Blacking these out would garble everyone's answers.
    [{ apikey: "machine", authorization: "Bearer running" }, []],
    [{ apikey: "sb_secret_short", authorization: "Bearer a.b.c" }, []],
    [{ apikey: "some words in a row that are long" }, []],
  ];
  for (const [given, secrets] of cases) {
    assert.deepEqual(callerSecrets(new Headers(given)), secrets, JSON.stringify(given));
  }
});

Deno.test("credentials: a key is equal in every character or is none", () => {
  const cases: [candidate: string, keys: string[], equal: boolean][] = [
    ["abc", ["abc"], true],
    ["abc", ["xyz", "abc"], true],
    ["abc", ["abc", "xyz"], true],
    ["abc", ["abc", "abc"], true],
    ["", ["abc"], false],
    ["ab", ["abc"], false],
    ["abcabc", ["abc"], false],
    ["abcd", ["abc"], false],
    ["xbc", ["abc"], false],
    ["abx", ["abc"], false],
    ["abc", [], false],
  ];
  for (const [candidate, keys, equal] of cases) {
    assert.equal(isServiceKey(candidate, keys), equal, `${candidate} of ${keys}`);
  }
});
