// Connect tokens made from node:crypto alone, good and bad: independent of the code that checks them.
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";

export const SECRET = "a-secret-of-at-least-32-characters-0123456789";
export const MACHINE_ID = "machine-k3v9x2-5f1c8a7de0b4";
export const OTHER_MACHINE_ID = "machine-k3v9x2-0c77d1e2a9f3";
export const USER_ID = "6f9619ff-8b86-4011-b42d-00cf4fc964ff";
export const OTHER_USER_ID = "1b4e28ba-2fa1-41d2-883f-0016d3cca427";
export const FLY_MACHINE_ID = "90801679a10038";

export type Claims = Record<string, unknown>;

/** The key of a machine, as examples/README.md defines it. */
export function machineKey(machineId: string, secret: string = SECRET): string {
  const hmac = createHmac("sha256", Buffer.from(secret, "utf8"));
  return hmac.update(`connect:${machineId}`, "utf8").digest("base64url");
}

export const KEY = machineKey(MACHINE_ID);

/** The claims that a token for MACHINE_ID has now, with changes. */
export function claims(changes: Claims = {}): Claims {
  const iat = Math.floor(Date.now() / 1000);
  return {
    aud: MACHINE_ID,
    sub: USER_ID,
    iss: "https://abcdefghijklmnopqrst.supabase.co",
    app: MACHINE_ID,
    machine: FLY_MACHINE_ID,
    iat,
    exp: iat + 60,
    ...changes,
  };
}

export interface Signing {
  key?: string | Uint8Array;
  header?: unknown;
  hash?: string;
}

/** A JWT over `payload`: HS256 with the key of MACHINE_ID, unless `signing` differs. */
export function sign(payload: unknown, signing: Signing = {}): string {
  const { key = KEY, header = { alg: "HS256", typ: "JWT" }, hash = "sha256" } = signing;
  const text = `${encode(header)}.${encode(payload)}`;
  return `${text}.${createHmac(hash, key).update(text).digest("base64url")}`;
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** The query of a token, and the reason that the refusal must give. */
export type BadToken = [name: string, query: string, reason: RegExp];

/** Tokens, by their query, that neither the machine nor the router may accept. */
export function badTokens(): BadToken[] {
  const now = Math.floor(Date.now() / 1000);
  const good = sign(claims());
  const [header = "", , signature = ""] = good.split(".");
  const other = Buffer.from(JSON.stringify(claims({ sub: OTHER_USER_ID }))).toString("base64url");
  const aged = (age: number, life = 60) => claims({ iat: now - age, exp: now - age + life });
  const foreign = claims({ aud: OTHER_MACHINE_ID });
  const alg = (name: string) => ({ header: { alg: name, typ: "JWT" } });
  const entry = (name: string, token: string, reason: RegExp): BadToken => [
    name,
    `?token=${encodeURIComponent(token)}`,
    reason,
  ];
  return [
    ["no query", "", /there is none/],
    ["an empty token", "?token=", /there is none/],
    ["a parameter of another name", `?Token=${good}`, /there is none/],
    ["two tokens", `?token=${good}&token=${good}`, /more than one/],
    ["two tokens, one of them empty", `?token=${good}&token`, /more than one/],
    entry("malformed", "not-a-token", /malformed/),
    entry("no signature", `${good.split(".").slice(0, 2).join(".")}.`, /malformed/),
    entry("padded", `${good}=`, /malformed/),
    entry("a line break behind it", `${good}\n`, /malformed/),
    entry("huge", sign(claims({ more: "x".repeat(3_000) })), /malformed/),
    entry("alg none", sign(claims(), alg("none")), /not HS256/),
    entry("alg none, no signature", `${sign(claims(), alg("none")).slice(0, -43)}`, /malformed/),
    entry("HS512", sign(claims(), { ...alg("HS512"), hash: "sha512" }), /malformed/),
    entry("says HS512", sign(claims(), alg("HS512")), /not HS256/),
    entry("forged: a guessed key", sign(claims(), { key: "x".repeat(43) }), /not signed/),
    entry("forged: changed claims", `${header}.${other}.${signature}`, /not signed/),
    entry("signed with the operator's secret", sign(claims(), { key: SECRET }), /not signed/),
    entry("signed with the decoded key", sign(claims(), { key: decoded(KEY) }), /not signed/),
    entry("another machine's", sign(foreign, { key: machineKey(OTHER_MACHINE_ID) }), /not signed/),
    entry("another machine's, own key", sign(foreign), /claim aud/),
    entry("for two machines", sign(claims({ aud: [MACHINE_ID, OTHER_MACHINE_ID] })), /claim aud/),
    entry("expired", sign(aged(90)), /expired/),
    entry("expired, long ago", sign(aged(86_400)), /expired/),
    entry("not valid yet", sign(aged(-30)), /claim iat/),
    entry("not before a later time", sign(claims({ nbf: now + 30 })), /claim nbf/),
    entry("valid for 61 seconds", sign(aged(0, 61)), /at most 60 seconds/),
    entry("valid for a day", sign(aged(0, 86_400)), /at most 60 seconds/),
    entry("ends before it begins", sign(claims({ iat: now + 2, exp: now })), /at most 60 seconds/),
    entry("no exp", sign(claims({ exp: undefined })), /claim exp/),
    entry("no iat", sign(claims({ iat: undefined })), /claim iat/),
    entry("no aud", sign(claims({ aud: undefined })), /claim aud/),
    entry("no sub", sign(claims({ sub: undefined })), /claim sub/),
    entry("sub is no id", sign(claims({ sub: "a\r\nb" })), /claim sub/),
    entry("sub is a number", sign(claims({ sub: 7 })), /claim sub/),
    entry("sub is a list", sign(claims({ sub: [USER_ID] })), /claim sub/),
    entry("claims are a list", sign([claims()]), /malformed|claim/),
    entry("claims are null", sign(null), /malformed/),
  ];
}

function decoded(key: string): Uint8Array {
  return Buffer.from(key, "base64url");
}
