/** Connect tokens: byte for byte as the examples' vectors say, and their clock. */
import assert from "node:assert/strict";
import vectors from "../../examples/connect-token-vectors.json" with { type: "json" };
import { checkConnectToken } from "../../examples/machine/connect-token.mjs";
import {
  connectKeyOf,
  issueConnectToken,
} from "../../supabase/functions/provision-machine/connect/token.ts";
import { platformRuntime } from "../../supabase/functions/provision-machine/runtime.ts";

const { hmacSha256 } = platformRuntime;
const LIFETIME_SECONDS = 60;
const MACHINE_ID = "machine-k3v9x2-5f1c8a7de0b4";
const SECRET = "correct-horse-battery-staple-0123456789";
const GRANT = {
  machineId: MACHINE_ID,
  userId: "6f9619ff-8b86-4011-b42d-00cf4fc964ff",
  issuer: "https://abcdefghijklmnopqrst.supabase.co",
  flyAppName: "my-app",
  flyMachineId: "90801679a10038",
};

/** A runtime whose time stands still. */
function at(seconds: number) {
  return { hmacSha256, clock: { ...platformRuntime.clock, now: () => seconds * 1_000 } };
}

Deno.test("connect token: each key is the vectors' key, text for text", async () => {
  for (const { secret, machineId, key } of vectors.keys) {
    assert.equal(await connectKeyOf({ hmacSha256 }, { secret, machineId }), key);
  }
});

Deno.test("connect token: each accepted vector of our lifetime is what we issue", async () => {
  const ours = vectors.accepted.filter(({ claims: { iat, exp } }) =>
    exp - iat === LIFETIME_SECONDS
  );
  assert.ok(ours.length >= 5, "the vectors have lost their tokens");
  for (const { name, token, key, machineId, claims } of ours) {
    const secret = vectors.keys.find((known) => known.key === key)?.secret;
    assert.ok(secret, name);
    const issued = await issueConnectToken(at(claims.iat), secret, {
      machineId,
      userId: claims.sub,
      issuer: claims.iss,
      flyAppName: claims.app,
      flyMachineId: claims.machine,
    });
    assert.deepEqual(issued, { token, expiresAt: claims.exp * 1_000 }, name);
  }
});

Deno.test("connect token: valid for a minute from the second in which it was issued", async () => {
  const { token, expiresAt } = await issueConnectToken(at(1_800_000_000.999), SECRET, GRANT);
  assert.equal(expiresAt, 1_800_000_060_000);
  const key = await connectKeyOf({ hmacSha256 }, { secret: SECRET, machineId: MACHINE_ID });
  const check = (seconds: number) =>
    checkConnectToken(`/?token=${token}`, {
      machineId: MACHINE_ID,
      key,
      now: new Date(seconds * 1_000),
    });
  // A machine's clock may be 5 seconds off.
  for (const seconds of [1_799_999_995, 1_800_000_000, 1_800_000_059, 1_800_000_064]) {
    const { iat, exp, ...claims } = await check(seconds);
    assert.deepEqual([iat, exp], [1_800_000_000, 1_800_000_060]);
    assert.deepEqual(claims, {
      aud: MACHINE_ID,
      sub: GRANT.userId,
      iss: GRANT.issuer,
      app: GRANT.flyAppName,
      machine: GRANT.flyMachineId,
    });
  }
  for (const seconds of [1_799_999_990, 1_800_000_066]) await assert.rejects(check(seconds));
});

Deno.test("connect token: claims that are not ASCII arrive as they are", async () => {
  const grant = { ...GRANT, issuer: "https://prüfung.example/✓" };
  const { token } = await issueConnectToken(at(1_800_000_000), SECRET, grant);
  assert.match(token, /^[\w-]+\.[\w-]+\.[\w-]{43}$/);
  const key = await connectKeyOf({ hmacSha256 }, { secret: SECRET, machineId: MACHINE_ID });
  const now = new Date(1_800_000_000_000);
  const claims = await checkConnectToken(`/?token=${token}`, { machineId: MACHINE_ID, key, now });
  assert.equal(claims.iss, grant.issuer);
});
