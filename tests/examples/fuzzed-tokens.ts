// Random connect tokens of which none may be accepted: each one differs from a good one in at least
// one way that matters, often in several.
import { Buffer } from "node:buffer";
import fc from "fast-check";
import {
  type Claims,
  claims,
  KEY,
  machineKey,
  OTHER_MACHINE_ID,
  SECRET,
  sign,
  type Signing,
} from "./tokens.ts";

/** Made when it is used, because what counts as expired depends on the time. */
export type BadQuery = () => string;

interface Recipe {
  badClaims: ((now: number) => Claims) | undefined;
  badDestination: Claims | undefined;
  signing: Signing | undefined;
  damage: ((token: string) => string) | undefined;
  badQuery: ((token: string) => string) | undefined;
}

const JSON_VALUE = fc.oneof(
  fc.constantFrom(null, true, false, "", [], {}, -1, 0, 1e308),
  fc.jsonValue({ maxDepth: 2 }),
);

const BAD_CLAIMS: fc.Arbitrary<(now: number) => Claims> = fc.oneof(
  fc.integer({ min: 10, max: 1e9 }).map((late) => (now: number) => ({
    iat: now - 60 - late,
    exp: now - late,
  })),
  fc.integer({ min: 10, max: 1e9 }).map((early) => (now: number) => ({
    iat: now + early,
    exp: now + early + 60,
  })),
  fc.integer({ min: 61, max: 1e9 }).map((life) => (now: number) => ({ iat: now, exp: now + life })),
  fc.integer({ min: 10, max: 1e9 }).map((wait) => (now: number) => ({ nbf: now + wait })),
  fc.constantFrom("aud", "sub", "iat", "exp").map((name) => () => ({ [name]: undefined })),
  // A random number of seconds or user id may happen to be valid.
  fc.record({ name: fc.constantFrom("iat", "exp"), value: JSON_VALUE })
    .filter(({ value }) => typeof value !== "number" || value < 1e9)
    .map(({ name, value }) => () => ({ [name]: value })),
  JSON_VALUE.map((aud) => () => ({ aud })),
  JSON_VALUE.filter((sub) => typeof sub !== "string" || !/^[\w-]{1,64}$/.test(sub))
    .map((sub) => () => ({ sub })),
  fc.constant(() => ({ aud: OTHER_MACHINE_ID })),
);

/** The router checks these two claims, the machine does not. */
const BAD_DESTINATION: fc.Arbitrary<Claims> = fc.oneof(
  JSON_VALUE.map((app) => ({ app })),
  fc.string({ unit: "binary", maxLength: 80 }).map((app) => ({ app })),
  JSON_VALUE.filter((machine) => typeof machine !== "string" || !/^[a-z0-9]{1,32}$/.test(machine))
    .map((machine) => ({ machine })),
  fc.constantFrom(";", "\r\n", "\n", ",", " ", '"', "=", "\0", "é", "/", "%0d%0a")
    .chain((text) => fc.nat(14).map((at) => ({ machine: insert("90801679a10038", at, text) }))),
);

const BAD_SIGNING: fc.Arbitrary<Signing> = fc.oneof(
  fc.constantFrom<Signing>(
    { key: machineKey(OTHER_MACHINE_ID) },
    { key: SECRET },
    { key: "" },
    { key: Buffer.from(KEY, "base64url") },
    { key: `${KEY}=` },
    { hash: "sha1" },
    { hash: "sha384" },
  ),
  fc.uint8Array({ maxLength: 64 }).map((key) => ({ key })),
  fc.constantFrom("none", "None", "NONE", "hs256", "HS384", "HS512", "RS256", "ES256", "EdDSA", "")
    .map((alg) => ({ header: { alg, typ: "JWT" } })),
  JSON_VALUE.filter((alg) => alg !== "HS256").map((alg) => ({ header: { alg } })),
  fc.constantFrom("exp", "b64", "x").map((crit) => ({
    header: { alg: "HS256", crit: [crit], [crit]: false },
  })),
  JSON_VALUE.map((header) => ({ header })),
);

const DAMAGE: fc.Arbitrary<(token: string) => string> = fc.oneof(
  fc.record({ at: fc.nat(2_000), by: fc.integer({ min: 1, max: 127 }) }).map(({ at, by }) =>
    change(at, by)
  ),
  fc.nat(2_000).map((at) => (token: string) => insert(token, at % token.length, "A")),
  fc.nat(2_000).map((at) => (token: string) => token.slice(0, at % token.length)),
  fc.nat(2_000).map((at) => (token: string) => token.slice(1 + at % (token.length - 1))),
  fc.string({ unit: "binary", minLength: 1, maxLength: 5 }).chain((text) =>
    fc.nat(2_000).map((at) => (token: string) => insert(token, at % token.length, text))
  ),
  fc.constantFrom("=", ".", " ", "\n", "\0", ".e30", "&").map((end) => (token: string) =>
    token + end
  ),
  fc.shuffledSubarray([0, 1, 2, 0, 1, 2], { minLength: 1 })
    .filter((order) => order.join() !== "0,1,2")
    .map((order) => (token: string) => order.map((part) => token.split(".")[part]).join(".")),
  fc.constantFrom((token: string) => token.toLowerCase(), (token: string) => token.toUpperCase()),
  fc.integer({ min: 5, max: 40 }).map((times) => (token: string) => token.repeat(times)),
  fc.string({ unit: "binary", maxLength: 300 }).map((text) => () => text),
  fc.jsonValue({ maxDepth: 1 }).map((value) => () => JSON.stringify(value)),
);

const BAD_QUERY: fc.Arbitrary<(token: string) => string> = fc.constantFrom(
  () => "",
  (token: string) => `?${token}`,
  (token: string) => `?Token=${token}`,
  (token: string) => `?token[]=${token}`,
  (token: string) => `?token=${token}&token=${token}`,
  (token: string) => `?token=${token}&token=`,
  (token: string) => `?token=&token=${token}`,
  (token: string) => `?token=Bearer%20${token}`,
  (token: string) => `??token=${token}`,
  (token: string) => `?token=%20${token}`,
);

function insert(text: string, at: number, more: string): string {
  return text.slice(0, at) + more + text.slice(at);
}

/** Replaces one character by another one of ASCII. */
function change(at: number, by: number): (token: string) => string {
  return (token) => {
    const index = at % token.length;
    const other = String.fromCharCode((token.charCodeAt(index) + by) % 128);
    return token.slice(0, index) + other + token.slice(index + 1);
  };
}

function query(recipe: Recipe): BadQuery {
  return () => {
    const now = Math.floor(Date.now() / 1000);
    const payload = claims({ ...recipe.badClaims?.(now), ...recipe.badDestination });
    const token = sign(payload, recipe.signing);
    if (recipe.badQuery) return recipe.badQuery(token);
    return `?token=${encodeURIComponent(recipe.damage?.(token) ?? token)}`;
  };
}

/** `count` queries, the same ones for the same seed; with `router`, bad destinations count as bad. */
export function badQueries(
  count: number,
  seed: number,
  { router }: { router: boolean },
): BadQuery[] {
  const optional = <T>(arbitrary: fc.Arbitrary<T>) =>
    fc.option(arbitrary, { nil: undefined, freq: 1 });
  const recipes = fc.record({
    badClaims: optional(BAD_CLAIMS),
    badDestination: router ? optional(BAD_DESTINATION) : fc.constant(undefined),
    signing: optional(BAD_SIGNING),
    damage: optional(DAMAGE),
    badQuery: fc.option(BAD_QUERY, { nil: undefined, freq: 9 }),
  }).filter((recipe) => Object.values(recipe).some((part) => part !== undefined));
  return fc.sample(recipes, { numRuns: count, seed }).map(query);
}
