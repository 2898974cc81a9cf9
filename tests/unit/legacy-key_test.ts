/** The legacy key beside secret keys: how often the gateway is asked, and what goes without it. */
import assert from "node:assert/strict";
import {
  askGateway,
  LegacyKey,
} from "../../supabase/functions/provision-machine/auth/legacy-key.ts";
import { systemClock } from "../../supabase/functions/provision-machine/runtime.ts";

const MINUTE = 60_000;

/** A key whose gateway answers what `says` returns, and a clock that stands still. */
function world() {
  const state = { now: 1_000_000, asked: 0, says: (): boolean => true };
  const key = new LegacyKey({ now: () => state.now }, () => {
    state.asked++;
    return new Promise((resolve) => resolve(state.says()));
  });
  return { state, key };
}

function down(): never {
  throw new Error("no answer");
}

Deno.test("the gateway is asked once a minute, however many ask at once", async () => {
  const { state, key } = world();
  assert.deepEqual(await Promise.all([key.counts(), key.counts(), key.counts()]), [
    true,
    true,
    true,
  ]);
  state.now += MINUTE - 1;
  state.says = () => false;
  assert.equal(await key.counts(), true);
  assert.equal(state.asked, 1);
  state.now += 1;
  assert.equal(await key.counts(), false);
  assert.equal(state.asked, 2);
  state.says = () => true;
  assert.equal(await key.counts(), false);
  state.now += MINUTE;
  assert.equal(await key.counts(), true);
});

Deno.test("without an answer, what it said last goes for ten minutes", async () => {
  for (const verdict of [true, false]) {
    const { state, key } = world();
    state.says = () => verdict;
    assert.equal(await key.counts(), verdict);
    state.says = down;
    state.now += 10 * MINUTE - 1;
    assert.equal(await key.counts(), verdict);
    state.now += 1;
    await assert.rejects(key.counts(), { code: "internal_error", retryAfterSeconds: 5 });
    state.says = () => !verdict;
    state.now += 2_000;
    assert.equal(await key.counts(), !verdict);
  }
});

Deno.test("without any answer nobody is let in, and it is asked again two seconds later", async () => {
  const { state, key } = world();
  state.says = down;
  for (let n = 0; n < 3; n++) await assert.rejects(key.counts(), { code: "internal_error" });
  assert.equal(state.asked, 1);
  state.now += 2_000;
  state.says = () => true;
  assert.equal(await key.counts(), true);
});

Deno.test("only a refusal is a refusal", async () => {
  const answers: [status: number, accepted: boolean | null][] = [
    [200, true],
    [401, false],
    [403, false],
    [404, null],
    [429, null],
    [503, null],
  ];
  for (const [status, accepted] of answers) {
    const sent: [string, string | null][] = [];
    const asked = askGateway({ url: "https://p.supabase.co", legacyKey: "eyJ.a.b" }, {
      clock: systemClock,
      fetch: (input, init) => {
        const request = new Request(input, init);
        sent.push([request.url, request.headers.get("apikey")]);
        return Promise.resolve(new Response("{}", { status }));
      },
    });
    if (accepted === null) await assert.rejects(asked, { message: new RegExp(String(status)) });
    else assert.equal(await asked, accepted);
    assert.deepEqual(sent, [["https://p.supabase.co/auth/v1/health", "eyJ.a.b"]]);
  }
});
