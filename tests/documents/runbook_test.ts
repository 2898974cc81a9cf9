/** The runbook has a section for each error code and alert, with log lines as the function prints them. */
import assert from "node:assert/strict";
import { ERROR_CODES } from "./error-codes.ts";
import { readDocument, sectionsOf, tableRows } from "./markdown.ts";

const RUNBOOK = await readDocument("docs/RUNBOOK.md");

Deno.test("each section of a code says what it means, what to do and what the log shows", () => {
  const codes = new Map(ERROR_CODES.map((entry) => [entry.code, entry]));
  for (const { heading, text } of sectionsOf(RUNBOOK)) {
    const code = /^`([a-z_]+)`$/.exec(heading)?.[1];
    if (code === undefined) continue;
    const known = codes.get(code);
    assert.ok(known, `docs/RUNBOOK.md: ${code} is not an error code any more: remove its section`);
    const [, meaning = "", advice = "", log = ""] =
      /^.*\n\n([\s\S]+?)\n\n(- [\s\S]+?)\n\n```log\n([\s\S]+?)\n```\n/.exec(text) ?? [];
    assert.ok(meaning.length > 20, `docs/RUNBOOK.md: ${code}: what does it mean?`);
    assert.match(advice, /^- \*\*First:\*\* .{20}/m, `docs/RUNBOOK.md: ${code}: what comes first?`);

    const events = log.split("\n").map((line) => JSON.parse(line));
    for (const event of events) {
      assert.match(event.timestamp, /^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/, code);
      assert.ok(typeof event.message === "string" && typeof event.requestId === "string", code);
    }
    if (known.status === null) continue;
    const summary = events.at(-1);
    assert.equal(summary.message, `provision-machine finished: ${code} (HTTP ${known.status})`);
    assert.deepEqual([summary.code, summary.status], [code, known.status]);
    const failures = events.filter(({ level }) => level === "error");
    assert.equal(failures.length, known.status === 500 ? 1 : 0, code);
    for (const { message } of failures) assert.match(message, /^(❌|CRITICAL ERROR)/);
  }
});

Deno.test("every alert rule is a symptom in the runbook", async () => {
  const rules = await readDocument("monitoring/alert-rules.yml");
  const symptoms = tableRows(RUNBOOK).map(([symptom]) => symptom);
  for (const [, alert] of rules.matchAll(/- alert: (\w+)/g)) {
    assert.ok(symptoms.includes(`\`${alert}\``), `docs/RUNBOOK.md: what to do about ${alert}?`);
  }
});
