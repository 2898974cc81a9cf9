/**
 * The testing guide of the fix for silent failures (LOGGING_FIX_SUMMARY.md), step by step, with its
 * log lines word for word. The document itself is read, so that neither can change alone.
 */
import assert from "node:assert/strict";
import { FLY_TOKEN, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";
import { codeBlocks, readDocument, sectionsOf } from "./markdown.ts";

const DOCUMENT = await readDocument("LOGGING_FIX_SUMMARY.md");
const GUIDE = sectionsOf(DOCUMENT).find(({ heading }) => heading === "Testing Guide")?.text ?? "";
/** What each step of the guide looks for. */
const CHECKS = [...GUIDE.matchAll(/^ +- [✅❌] (.+)$/gm)].map(([, check = ""]) => check);
const PREFIX = String.raw`\[\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z\] `;

for (const format of ["text", "json"] as const) {
  Deno.test(`the testing guide, LOG_FORMAT=${format}`, async (t) => {
    await using stack = await startStack({ env: { LOG_FORMAT: format } });
    const output = (stream?: "stdout" | "stderr") =>
      stack.fn.lines.filter((line) => stream === undefined || line.stream === stream)
        .map(({ line }) => line);
    /** The line with this text; in the text format a time stamp precedes it. */
    const line = (text: string) =>
      format === "json" ? new RegExp(escape(text)) : new RegExp(`^${PREFIX}${escape(text)}$`);
    const says = (text: string) => output().some((each) => line(text).test(each));
    const user = await stack.supabase.createUser();
    const done: string[] = [];
    const check = (t: Deno.TestContext, name: string, run: () => void | Promise<void>) => {
      done.push(name);
      return t.step(name, run);
    };

    await t.step("1. Test with valid FLY_API_TOKEN", async () => {
      const { status, body } = await stack.call(user, { body: {} });
      assert.equal(status, 200);
      assert.equal(body.status, "running");
      await until(
        "the log is not empty",
        () => says("provision-machine finished: succeeded (HTTP 200)"),
      );
    });

    await t.step("2. Check logs show", async (t) => {
      await check(t, `Entry point: "provision-machine invoked"`, () => {
        assert.ok(says("provision-machine invoked"));
      });
      await check(t, `Environment check: "FLY_API_TOKEN: EXISTS (length: X)"`, () => {
        const check = `FLY_API_TOKEN: EXISTS (length: ${FLY_TOKEN.length})`;
        if (format === "text") {
          const lines = output();
          const at = lines.findIndex((each) => line("Environment check:").test(each));
          assert.equal(lines[at + 1], `  - ${check}`);
          assert.match(lines[at + 2] ?? "", /^ {2}- FLY_APP_NAME: test-app$/);
          assert.match(
            lines[at + 3] ?? "",
            /^ {2}- DOCKER_IMAGE: registry\.fly\.io\/test-app:latest$/,
          );
        } else {
          assert.ok(
            output().some((each) => JSON.parse(each).message.startsWith("Environment check")),
          );
          assert.ok(says(check));
        }
      });
      await check(t, `Fly.io API call: "Calling Fly.io API to create machine in ..."`, () => {
        assert.ok(says("Calling Fly.io API to create machine in iad..."));
        assert.ok(says("Fly.io API response status: 200 OK"));
      });
      await check(t, `Success: "✅ Fly machine created successfully: xyz"`, () => {
        const [machine] = stack.simulator.liveMachines();
        assert.ok(machine);
        assert.ok(says(`✅ Fly machine created successfully: ${machine.id}`));
      });
      assert.deepEqual(output("stderr"), []);
    });

    if (format === "text") {
      await t.step("the log has every line that the document shows, in this order", () => {
        const [log = ""] = codeBlocks(DOCUMENT, "text");
        const lines = output();
        for (const shown of log.trimEnd().split("\n")) {
          const at = lines.findIndex((each) => patternOf(shown).test(each));
          assert.ok(at >= 0, `LOGGING_FIX_SUMMARY.md: the log lacks "${shown}"`);
          lines.splice(0, at + 1);
        }
      });
    }

    await t.step("3. If provisioning fails", async (t) => {
      const other = await stack.supabase.createUser();
      stack.simulator.addFault({
        match: { action: "create" },
        do: { kind: "status", status: 422, body: { error: "invalid config.image" } },
      });
      const answer = await stack.call(other, { body: {} });

      await check(t, "Error details with full stack trace", async () => {
        const message = "❌ Fly.io provisioning failed: Fly.io answered 422: invalid config.image";
        await until("the error is logged", () => says(message));
        const errors = output("stderr").join("\n");
        assert.ok(errors.includes(message));
        assert.match(errors, /"name":"FlyError"/);
        assert.match(errors, /"message":"Fly\.io answered 422: invalid config\.image"/);
        assert.match(errors, /"stack":"FlyError: .*\\n {4}at \w+.*\.ts:\d+:\d+\)/);
      });
      await check(t, "Machine status updated to 'error' in database", async () => {
        const { data, error } = await other.client.from("cloud_machines").select();
        assert.equal(error, null);
        assert.equal(data?.length, 1);
        const [row] = data ?? [];
        assert.deepEqual([row.status, row.machine_id], ["error", answer.body.machineId]);
        assert.equal(row.error_message, answer.body.error);
      });
      await check(t, "HTTP 500 response returned (not 200!)", () => {
        assert.equal(answer.status, 500);
      });
    });

    await t.step("each step of the guide was tested", () => {
      assert.deepEqual(done, CHECKS, "LOGGING_FIX_SUMMARY.md: Testing Guide");
    });

    await t.step("without FLY_API_TOKEN nothing is simulated", async () => {
      await stack.restart({ FLY_API_TOKEN: undefined });
      const third = await stack.supabase.createUser();
      const answer = await stack.call(third, { body: {} });
      assert.equal(answer.status, 500);
      const errorMsg = "FLY_API_TOKEN not configured - cannot provision Fly.io machine";
      assert.equal(answer.body.error, errorMsg);
      assert.equal(answer.body.message, "Server configuration error - FLY_API_TOKEN missing");
      await until("the error is logged", () => says(`CRITICAL ERROR: ${errorMsg}`));
      assert.ok(output("stderr").some((each) => each.includes(`CRITICAL ERROR: ${errorMsg}`)));
      assert.ok(
        format === "json" ? says("FLY_API_TOKEN: MISSING ❌") : output().includes(
          "  - FLY_API_TOKEN: MISSING ❌",
        ),
      );
      const { data } = await third.client.from("cloud_machines").select();
      const [row] = data ?? [];
      assert.deepEqual([row.status, row.error_message], ["error", errorMsg]);
      assert.equal(row.machine_id, answer.body.machineId);
      assert.ok(!output().join().includes("simulation"));
    });
  });
}

/** A pattern for a line of the document, in which `…` matches anything. */
function patternOf(shown: string): RegExp {
  const text = escape(shown.replace(/^\[timestamp\] /, "")).replaceAll("…", ".+");
  return new RegExp(`^${shown.startsWith("[timestamp] ") ? PREFIX : ""}${text}$`);
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
