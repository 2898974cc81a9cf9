/** The second half of the lives that every test run lives, so that two cores share them. */
import assert from "node:assert/strict";
import { ModelWorld } from "../model/model-world.ts";
import { checkLives } from "./check-lives.ts";
import { LIVES_PER_BATCH } from "./draw-batch.ts";
import { HALF, SEED } from "./seed.ts";

Deno.test(`the invariants hold for ${HALF} more lives (seed ${SEED})`, async () => {
  await using world = await ModelWorld.open(LIVES_PER_BATCH);
  const totals = await checkLives(world, { seed: SEED, lives: HALF, from: HALF });
  assert.equal(totals.findings.map(({ text }) => text).join("\n"), "");
  assert.equal(totals.lives, HALF);
});
