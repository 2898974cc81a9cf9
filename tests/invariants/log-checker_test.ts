/** A log that breaks its budget or its order is found. */
import assert from "node:assert/strict";
import { isSummary, parseLog } from "./log-events.ts";
import { logViolations } from "./log.ts";

function line(message: string, fields: Record<string, unknown> = {}): string {
  return JSON.stringify({
    timestamp: "2026-11-01T12:00:00.000Z",
    level: "info",
    message,
    requestId: "request-1",
    ...fields,
  });
}

const SUMMARY = line("provision-machine finished: 200", { outcome: "succeeded", status: 200 });

Deno.test("violations: a log that breaks its budget or its order is found", () => {
  const found = (...lines: string[]) =>
    logViolations(parseLog(lines.map((line) => ({ stream: "stdout", line }))), {
      level: "info",
      mayLackSummary: () => false,
      inOrder: true,
    }).join("\n");
  assert.ok(isSummary(JSON.parse(SUMMARY)));
  assert.equal(found(line("a step"), SUMMARY), "");
  assert.match(found(line("a step")), /^log: request-1: there is no summary/);
  assert.match(found(SUMMARY, line("a step")), /the summary is not the last event/);
  assert.match(found(SUMMARY, SUMMARY), /2 summaries/);
  assert.match(found(...Array(6).fill(line("a step")), SUMMARY), /7 events of 6/);
  assert.match(found(line("a step", { text: "x".repeat(4_000) }), SUMMARY), /bytes of 4096/);
  assert.match(found(line("a".repeat(9_000)), SUMMARY), /an event of \d+ characters/);
  assert.match(found(line("oops", { level: "error" }), SUMMARY), /error on stdout/);
});
