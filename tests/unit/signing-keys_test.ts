/** The keys that verify tokens: how often they are fetched, and what becomes of an outage. */
import assert from "node:assert/strict";
import { VirtualClock } from "../../dev/stack/clock.ts";
import { SigningKeys } from "../../supabase/functions/provision-machine/auth/signing-keys.ts";

const A = { kid: "a", kty: "EC", x: "1", y: "2" };

function open() {
  const clock = new VirtualClock(1_000_000);
  const auth = { keys: [A] as unknown[], fetches: 0, down: false };
  const keys = new SigningKeys(clock, () => {
    auth.fetches++;
    return auth.down ? Promise.reject(new Error("down")) : Promise.resolve({ keys: auth.keys });
  });
  return { auth, keys, pass: (ms: number) => clock.advance(ms) };
}

Deno.test("signing keys: a name that is not known is asked for once in 30 s", async () => {
  const { auth, keys, pass } = open();
  await Promise.all(Array.from({ length: 50 }, (_, n) => keys.find(`made up ${n}`)));
  for (let n = 0; n < 50; n++) assert.equal(await keys.find(`made up too ${n}`), undefined);
  assert.equal(auth.fetches, 1);
  // A key that the project has got since then.
  auth.keys = [A, { ...A, kid: "b" }];
  await pass(30_000);
  assert.equal((await keys.find("b"))?.kid, "b");
  assert.equal(auth.fetches, 2);
});

Deno.test("signing keys: one that is known is kept for ten minutes, and longer while Auth is down", async () => {
  const { auth, keys, pass } = open();
  assert.deepEqual(await keys.find("a"), { ...A, key_ops: ["verify"] });
  await pass(599_999);
  await keys.find("a");
  assert.equal(auth.fetches, 1);
  auth.down = true;
  await pass(1);
  assert.equal((await keys.find("a"))?.kid, "a");
  await assert.rejects(keys.find("b"), /down/);
  // No call so soon after one that failed.
  assert.equal(auth.fetches, 2);
  auth.down = false;
  auth.keys = [];
  await pass(2_000);
  assert.equal(await keys.find("a"), undefined);
  assert.equal(await keys.any(), false);
  assert.equal(auth.fetches, 3);
});

Deno.test("signing keys: what is no key is left out, and what is no set is refused", async () => {
  const { auth, keys, pass } = open();
  auth.keys = [null, { kty: "EC" }, 5, A];
  assert.equal(await keys.any(), true);
  await pass(600_000);
  const broken = new SigningKeys(new VirtualClock(0), () => Promise.resolve({ error: "no" }));
  await assert.rejects(broken.find("a"));
});
