/** Sending alerts: in which order, when again, and without the webhook's address in any text. */
import assert from "node:assert/strict";
import { VirtualClock } from "../../dev/stack/clock.ts";
import {
  type AlerterOptions,
  post,
  sendAlert,
  sendDueAlerts,
} from "../../supabase/functions/provision-machine/alerts/alerter.ts";
import { type Alert, Alerts } from "../../supabase/functions/provision-machine/database/alerts.ts";
import { Redactor } from "../../supabase/functions/provision-machine/logging/redactor.ts";
import {
  type Answer,
  lost,
  type Provisioning,
  says,
  type Script,
  scriptProvisioning,
  silent,
} from "./scripted-provisioning.ts";

const WEBHOOK = "https://hooks.example.com/services/T0/B0/x(1)";
const RULE = { threshold: 3, windowMs: 600_000, cooldownMs: 1_800_000, maxMachines: 100 };
const ALERT: Alert = {
  id: 7,
  kind: "failures",
  event: "firing",
  content: { count: 3, byCode: { fly_capacity: 3 }, newestMachineId: "m-1", windowMinutes: 10 },
  attempts: 0,
};
const TAKEN = says(200, "ok");

function open(script: Script): { provisioning: Provisioning; options: AlerterOptions } {
  const provisioning = scriptProvisioning({ finish_alert: says(200, "null"), ...script });
  const { context: { runtime, redactor, log }, database } = provisioning;
  const options = { runtime, redactor, log, alerts: new Alerts(database), webhookUrl: WEBHOOK };
  return { provisioning, options };
}

async function posted(answer: Answer) {
  const clock = new VirtualClock();
  const startedAt = clock.now();
  const redactor = new Redactor();
  redactor.protect(["fo1_a-secret"]);
  const sent: (RequestInit | undefined)[] = [];
  const runtime: Pick<AlerterOptions["runtime"], "clock" | "fetch"> = {
    clock,
    fetch: (_, init) => {
      sent.push(init);
      return answer(init?.signal ?? undefined, clock);
    },
  };
  const message = { text: "failed: fo1_a-secret" };
  const failure = await clock.run(post({ runtime, webhookUrl: WEBHOOK, redactor }, message));
  return { failure: failure?.message ?? null, sent: sent[0], elapsedMs: clock.now() - startedAt };
}

Deno.test("alerter: one message, redacted, to the configured address alone", async () => {
  const { failure, sent } = await posted(TAKEN);
  assert.equal(failure, null);
  const { method, headers, body, redirect } = sent ?? {};
  assert.deepEqual({ method, headers, body, redirect }, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"text":"failed: [REDACTED]"}',
    redirect: "manual",
  });
});

Deno.test("alerter: why a message was not accepted, without the address", async () => {
  const quoting: Answer = () =>
    Promise.reject(
      new TypeError(`error sending request for url (${WEBHOOK}): via https://proxy/a`),
    );
  const cases: [answer: Answer, failure: string][] = [
    [says(500, "down"), "the webhook answered 500"],
    [says(302, "", { location: "https://evil.example.net" }), "the webhook answered 302"],
    [quoting, "error sending request for url (the webhook): via the webhook"],
  ];
  for (const [answer, failure] of cases) assert.equal((await posted(answer)).failure, failure);
  const late = await posted(silent);
  assert.deepEqual([late.failure, late.elapsedMs], ["no answer within 5000 ms", 5_000]);
});

Deno.test("alerter: a delivered message is noted", async () => {
  const { provisioning, options } = open({ webhook: TAKEN });
  const { context: { workDeadline } } = provisioning;
  assert.equal(await provisioning.run(() => sendAlert(options, ALERT, workDeadline)), true);
  assert.deepEqual(provisioning.calls, ["webhook", "finish_alert"]);
  assert.deepEqual(provisioning.arguments, [{ p_id: 7 }]);
  assert.deepEqual(provisioning.log.lines(), []);
});

Deno.test("alerter: after a failure it is tried again later and later, twenty times in all", async () => {
  const MINUTE = 60_000;
  const cases: [attempts: number, retryInMs: number | undefined][] = [
    [0, MINUTE],
    [1, 2 * MINUTE],
    [5, 32 * MINUTE],
    [6, 60 * MINUTE],
    [18, 60 * MINUTE],
    [19, undefined],
  ];
  for (const [attempts, retryInMs] of cases) {
    const { provisioning, options } = open({ webhook: says(503) });
    const { context: { workDeadline }, log } = provisioning;
    const sent = await provisioning.run(() =>
      sendAlert(options, { ...ALERT, attempts }, workDeadline)
    );
    assert.equal(sent, false);
    assert.deepEqual(provisioning.arguments, [{
      p_id: 7,
      p_error: "the webhook answered 503",
      ...(retryInMs === undefined ? {} : { p_retry_in_ms: retryInMs }),
    }]);
    assert.deepEqual(log.lines(), [
      retryInMs === undefined
        ? "error: The alert webhook failed for the last time"
        : "error: The alert webhook failed; reconcile tries again",
    ]);
    assert.equal(log.records[0]?.properties["attempt"], attempts + 1);
  }
});

Deno.test("alerter: older messages go first, and the first failure ends the round", async () => {
  const script = {
    evaluate_alerts: says(200, [{ ...ALERT, id: 9 }]),
    take_due_alerts: says(200, [{ ...ALERT, id: 7 }, { ...ALERT, id: 8 }]),
  };
  const all = open({ ...script, webhook: TAKEN });
  const { context: { workDeadline } } = all.provisioning;
  const send = () => sendDueAlerts(all.options, RULE, workDeadline);
  assert.equal(await all.provisioning.run(send), 3);
  const ids = all.provisioning.arguments.map(({ p_id }) => p_id).filter((id) => id !== undefined);
  assert.deepEqual(ids, [7, 8, 9]);
  assert.deepEqual(all.provisioning.arguments.slice(0, 2), [
    {
      p_threshold: 3,
      p_window_ms: 600_000,
      p_cooldown_ms: 1_800_000,
      p_lease_ms: 30_000,
      p_by_reconcile: true,
      p_max_machines: 100,
    },
    { p_limit: 5, p_lease_ms: 30_000 },
  ]);

  const some = open({ ...script, webhook: [TAKEN, lost] });
  const deadline = some.provisioning.context.workDeadline;
  const sent = await some.provisioning.run(() => sendDueAlerts(some.options, RULE, deadline));
  assert.equal(sent, 1);
  assert.equal(some.provisioning.calls.filter((call) => call === "webhook").length, 2);
});
