/** Finding the browser for the tests of this folder. */
import assert from "node:assert/strict";
import { findChromium, NO_CHROMIUM } from "./support/chromium.ts";
import { withoutChromium } from "./support/console-test.ts";

Deno.test("where no Chromium is found, CI fails and others see a message", async () => {
  assert.equal(await findChromium({ PATH: "/nowhere" }), null);
  await assert.rejects(findChromium({ CHROMIUM_PATH: "/nowhere" }), /CHROMIUM_PATH is \/nowhere/);
  assert.equal(withoutChromium({ CI: "true" }), "fail");
  assert.equal(withoutChromium({ CI: "false" }), "ignore");
  assert.equal(withoutChromium({}), "ignore");
  assert.doesNotMatch(NO_CHROMIUM, /\n/);
});
