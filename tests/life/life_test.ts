/** The first half of the lives that every test run lives; `deno task test:life` is the large run. */
import assert from "node:assert/strict";
import { ModelWorld } from "../model/model-world.ts";
import { checkLives } from "./check-lives.ts";
import { drawBatch, LIVES_PER_BATCH } from "./draw-batch.ts";
import { runBatch } from "./run-batch.ts";
import { HALF, SEED } from "./seed.ts";

Deno.test(`the invariants hold for ${HALF} lives (seed ${SEED})`, async () => {
  await using world = await ModelWorld.open(LIVES_PER_BATCH);
  const totals = await checkLives(world, { seed: SEED, lives: HALF });
  assert.equal(totals.findings.map(({ text }) => text).join("\n"), "");
  assert.equal(totals.lives, HALF);
});

Deno.test("a batch of lives runs the same way each time", async () => {
  await using world = await ModelWorld.open(LIVES_PER_BATCH);
  const batch = drawBatch(SEED, 0, 8);
  const [first, second] = [await runBatch(world, batch), await runBatch(world, batch)];
  assert.deepEqual(first.calls, second.calls);
  assert.deepEqual(first.versions, second.versions);
});
