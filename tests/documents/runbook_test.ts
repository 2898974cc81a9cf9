/** The README's runbook has a section for each error code, with what the function really prints. */
import assert from "node:assert/strict";
import { HINTS } from "../../supabase/functions/provision-machine/alerts/hints.ts";
import {
  CALLER_ERRORS,
  PROVISIONING_ERRORS,
  RECONCILE_CODES,
} from "../../supabase/functions/provision-machine/errors.ts";

const README = new URL("../../README.md", import.meta.url);
const ANSWERED: Record<string, number> = { ...PROVISIONING_ERRORS, ...CALLER_ERRORS };

/** The text of each section whose heading is a code, by code. */
async function sections(): Promise<Map<string, string>> {
  const readme = await Deno.readTextFile(README);
  const found = new Map<string, string>();
  for (const part of readme.split(/^(?=#{1,3} )/m)) {
    const code = /^### `([a-z_]+)`\n/.exec(part)?.[1];
    if (code === undefined) continue;
    assert.ok(!found.has(code), `${code} has two sections`);
    found.set(code, part);
  }
  return found;
}

Deno.test("the runbook has one section for each code, and none for anything else", async () => {
  const codes = [...Object.keys(ANSWERED), ...RECONCILE_CODES];
  const found = [...(await sections()).keys()];
  assert.deepEqual(found.filter((code) => codes.includes(code)).sort(), codes.sort());
});

Deno.test("each section says what it means, how it looks in the log and what to do", async () => {
  for (const [code, text] of await sections()) {
    const [, meaning = "", log = "", advice = ""] =
      /^.*\n\n([\s\S]+?)\n\n```log\n([\s\S]+?)\n```\n\n([\s\S]+)$/.exec(text) ?? [];
    assert.ok(meaning.length > 20, `${code}: what does it mean?`);
    assert.match(advice, /^\*\*What to do\.\*\* .{20}/, `${code}: what is to be done?`);

    const events = log.split("\n").map((line) => JSON.parse(line));
    for (const event of events) {
      assert.match(event.timestamp, /^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/, code);
      assert.ok(typeof event.message === "string" && typeof event.requestId === "string", code);
    }
    const status = ANSWERED[code];
    if (status === undefined) continue;
    const summary = events.at(-1);
    assert.equal(summary.message, `provision-machine finished: ${code} (HTTP ${status})`);
    assert.deepEqual([summary.code, summary.status], [code, status]);
    const failures = events.filter(({ level }) => level === "error");
    assert.equal(failures.length, status === 500 ? 1 : 0, code);
    for (const { message } of failures) assert.match(message, /^(❌|CRITICAL ERROR)/);
  }
});

Deno.test("an alert can say what to do about every code of a row", () => {
  for (const code of [...Object.keys(PROVISIONING_ERRORS), ...RECONCILE_CODES]) {
    assert.ok(Object.hasOwn(HINTS, code), code);
  }
});
