/** A machine that does not start: what its error says, and what callers are advised. */
import assert from "node:assert/strict";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";
import { startMachine } from "../../supabase/functions/provision-machine/provision/start-machine.ts";
import { OWN, ROW, scriptProvisioning, silent } from "./scripted-provisioning.ts";
import { DATABASE, seen, start, STARTED } from "./scripted-start.ts";

const FAILED = `machine_failed: Fly machine ${OWN.id} did not start: it`;

Deno.test("start machine: every state that does not lead to started", async () => {
  for (
    const state of ["failed", "launch_failed", "destroying", "destroyed", "stopped", "replaced"]
  ) {
    assert.equal(await start({}, { state }).outcome, `${FAILED} is ${state}`);
  }
  for (const state of ["created", "creating", "starting", "restarting", "updating", "unknown"]) {
    assert.equal(await start({ wait: STARTED }, { state }).outcome, "running");
  }
});

Deno.test("start machine: callers learn what kind of failure it was, and where there is more", async () => {
  const hintAfter = async (exit_event?: Record<string, unknown>) => {
    const events = exit_event === undefined ? [] : [{ type: "exit", request: { exit_event } }];
    const provisioning = scriptProvisioning({ ...DATABASE, get: seen("stopped", events) });
    const { context } = provisioning;
    const starting = startMachine(context, ROW, { ...OWN, state: "stopped", events });
    const error = await provisioning.run(() => starting).catch((error) => error);
    assert.ok(error instanceof AppError);
    return error.hint;
  };
  assert.match(
    await hintAfter({ exit_code: 137, oom_killed: true }),
    /memory: .*cpuPriority.*fly logs/,
  );
  assert.match(await hintAfter({ exit_code: 1 }), /program .* ended; .*fly logs/);
  assert.equal(await hintAfter(), new AppError("machine_failed", "").hint);
});

Deno.test("start machine: the last event is redacted and truncated", async () => {
  const provisioning = scriptProvisioning({
    ...DATABASE,
    wait: silent,
    get: seen("failed", [{ reason: 'no login with "p/ass"word' }]),
  });
  provisioning.context.redactor.protect(['"p/ass"word']);
  await assert.rejects(
    provisioning.run(() => startMachine(provisioning.context, ROW, OWN)),
    { message: /last event: \{"reason":"no login with \[REDACTED\]"\}$/ },
  );
  const long = start({ wait: silent, get: seen("failed", [{ reason: "x".repeat(1_000) }]) });
  assert.match(await long.outcome, /"xxx.{0,400}x…\[cut, 1013 characters in all\]$/);
});
