/** The client that frontends copy, and the other parts of the page that need no browser. */
import assert from "node:assert/strict";
import {
  createProvisionMachineClient,
  ERROR_CODES,
  ProvisionMachineError,
} from "../../client/mod.ts";
import { parsePrometheus, sumBy } from "../../console/operator/prometheus.ts";
import { binOutcomes, quantile, SPANS, total } from "../../console/operator/outcomes.ts";
import { percent } from "../../console/operator/percent.ts";
import { EXPLANATIONS } from "../../console/page/error-sentences.ts";
import {
  CALLER_CODES,
  PROVISIONING_CODES,
  RECONCILE_CODES,
} from "../../supabase/functions/provision-machine/errors.ts";
import { startStack } from "../support/stack.ts";
import { findChromium, NO_CHROMIUM } from "./support/chromium.ts";
import { withoutChromium } from "./support/console-test.ts";

Deno.test("the client knows every code that the function answers, and the page explains each", () => {
  const answered = [...Object.keys(CALLER_CODES), ...Object.keys(PROVISIONING_CODES)];
  const own = ["network_error", "unexpected_response"];
  assert.deepEqual([...ERROR_CODES].sort(), [...answered, ...own].sort());
  assert.deepEqual(
    Object.keys(EXPLANATIONS).sort(),
    [...answered, ...own, ...Object.keys(RECONCILE_CODES)].sort(),
  );
  const sentences = Object.values(EXPLANATIONS).map(({ sentence }) => sentence);
  assert.equal(new Set(sentences).size, sentences.length, "each code has a sentence of its own");
  for (const { sentence, next } of Object.values(EXPLANATIONS)) {
    assert.match(sentence, /^[A-Z].+\.$/);
    assert.match(next, /^[A-Z].+\.$/);
    assert.doesNotMatch(sentence, /_|HTTP|\d{3}/, "human words");
  }
});

Deno.test("the client", async (test) => {
  await using stack = await startStack();
  const { supabase, simulator } = stack;
  const signIn = async (options: { maxAttempts?: number } = {}) => {
    const user = await supabase.createUser();
    const waits: number[] = [];
    const client = createProvisionMachineClient({
      functionUrl: `${supabase.url}/functions/v1/provision-machine`,
      publishableKey: supabase.publishableKey,
      getAccessToken: () => Promise.resolve(user.accessToken),
      wait: (delayMs) => Promise.resolve(void waits.push(delayMs)),
      ...options,
    });
    return { user, client, waits };
  };
  const failure = async (call: Promise<unknown>): Promise<ProvisionMachineError> => {
    const error = await call.then(() => null, (thrown: unknown) => thrown);
    assert.ok(error instanceof ProvisionMachineError, String(error));
    return error;
  };

  await test.step("provisions and destroys, twice as well as once", async () => {
    const { client } = await signIn();
    const machine = await client.provision({ region: "fra", cpuPriority: "low" });
    assert.deepEqual([machine.status, machine.region, machine.replayed], ["running", "fra", false]);
    await client.destroy(machine.machineId);
    await client.destroy(machine.machineId);
    assert.equal((await stack.row(machine.machineId)).status, "destroyed");
  });

  await test.step("after a lost answer the same key finds the same machine", async () => {
    const { client, waits } = await signIn();
    const before = simulator.liveMachines().length;
    supabase.addFault({
      match: { service: "functions" },
      times: 2,
      do: { kind: "reset", when: "after" },
    });
    const machine = await client.provision();
    assert.equal(machine.replayed, true);
    assert.equal(simulator.liveMachines().length, before + 1);
    assert.deepEqual(waits, [500, 1_000]);
  });

  await test.step("gives up at last, with the key to ask again with", async () => {
    const { client, user } = await signIn({ maxAttempts: 2 });
    supabase.addFault({
      match: { service: "functions" },
      times: 2,
      do: { kind: "reset", when: "after" },
    });
    const error = await failure(client.provision());
    assert.equal(error.code, "network_error");
    assert.ok(error.outcomeUnknown && error.idempotencyKey);
    const machine = await client.provision({}, { idempotencyKey: error.idempotencyKey });
    assert.equal(machine.replayed, true);
    assert.equal((await stack.rowsOf(user)).length, 1);
  });

  await test.step("a function that is just starting is asked again", async () => {
    const { client } = await signIn();
    supabase.setFunction("provision-machine", null);
    let retries = 0;
    const machine = await client.provision({}, {
      onRetry: ({ error }) => {
        assert.equal(error.status, 503);
        retries++;
        supabase.setFunction("provision-machine", stack.fn.url);
      },
    });
    assert.deepEqual([machine.status, retries], ["running", 1]);
  });

  await test.step("what the function answers is never asked again by itself", async () => {
    const { client, waits } = await signIn();
    simulator.addFault({
      match: { action: "create" },
      do: { kind: "status", status: 422, body: { error: "insufficient resources" } },
    });
    const error = await failure(client.provision());
    assert.deepEqual([error.code, error.status], ["fly_capacity", 500]);
    assert.ok((error.retryAfterSeconds ?? 0) > 0);
    assert.ok(error.requestId && error.machineId);
    assert.equal(error.outcomeUnknown, false);
    assert.deepEqual(waits, []);
  });

  await test.step("names each mistake, and the machine that is in the way", async () => {
    const { client } = await signIn();
    const invalid = await failure(client.provision({ region: "moon" }));
    assert.deepEqual(invalid.issues.map(({ path }) => path), ["region"]);
    const { machineId } = await client.provision();
    const limit = await failure(client.provision());
    assert.deepEqual([limit.code, limit.machineId], ["machine_limit_reached", machineId]);
  });

  await test.step("answers at once when asked to", async () => {
    const { client } = await signIn();
    const begun = await client.provision({}, { respondAsync: true, idempotencyKey: "async" });
    assert.equal(begun.status, "provisioning");
    // The same key without haste waits for the outcome.
    const done = await client.provision({}, { idempotencyKey: "async" });
    assert.deepEqual([done.status, done.machineId], ["running", begun.machineId]);
  });

  await test.step("can be given up", async () => {
    const { client } = await signIn();
    const leaving = new AbortController();
    supabase.addFault({ match: { service: "functions" }, do: { kind: "hang", when: "before" } });
    const call = client.provision({}, { signal: leaving.signal });
    leaving.abort(new Error("gone"));
    await assert.rejects(call, /gone/);
  });
});

Deno.test("Prometheus' text is read as the function writes it", async () => {
  await using stack = await startStack();
  const user = await stack.supabase.createUser();
  assert.equal((await stack.call(user, { body: { region: "fra" } })).status, 200);
  const answer = await fetch(`${stack.url}/metrics`, {
    headers: { apikey: stack.supabase.secretKey },
  });
  const samples = parsePrometheus(await answer.text());
  const running = sumBy(
    samples,
    "provision_machine_machines",
    "region",
    ({ status }) => status === "running",
  );
  assert.deepEqual([...running], [["fra", 1]]);

  const escaped = parsePrometheus('a{b="x\\"y\\\\z\\n",c="1,2"} 1e3 1700000000\n# c\n\nd +Inf\n');
  assert.deepEqual(escaped, [
    { name: "a", labels: { b: 'x"y\\z\n', c: "1,2" }, value: 1_000 },
    { name: "d", labels: {}, value: Infinity },
  ]);
  assert.throws(() => parsePrometheus("a 1\nnonsense"), /Line 2 .*nonsense/);
});

Deno.test("events fall into the bins of their time", () => {
  const now = Date.parse("2026-11-23T13:32:00Z");
  const event = (kind: string, time: string, duration_ms: number | null = null) => ({
    id: 1,
    kind,
    error_code: null,
    duration_ms,
    request_id: "r",
    created_at: `2026-11-23T${time}Z`,
    cloud_machines: null,
  });
  const [span] = SPANS.filter(({ name }) => name === "1 hour");
  assert.ok(span);
  const bins = binOutcomes(
    [
      event("running", "13:31:00", 400),
      event("running", "13:30:00", 200),
      event("adopted", "13:29:59", 90_000),
      event("failed", "13:26:00", 100),
      event("interrupted", "12:35:00"),
      event("claimed", "13:31:00"),
      event("running", "12:34:59", 5),
    ],
    span,
    now,
  );
  assert.equal(bins.length, 12);
  const counts = bins.map(({ succeeded, failed }) => [succeeded, failed]);
  assert.deepEqual([counts[0], counts[10], counts[11]], [[0, 1], [1, 1], [2, 0]]);
  assert.deepEqual([bins[11]?.medianMs, bins[11]?.p95Ms, bins[10]?.medianMs], [200, 400, null]);
  assert.deepEqual(total(bins), { succeeded: 3, failed: 2, rate: 0.6 });
  assert.equal(quantile([], 0.5), null);
  // Never 100 % while anything failed.
  assert.deepEqual([0.9999, 1, 0, null].map(percent), ["99.9 %", "100 %", "0 %", "–"]);
});

Deno.test("where no Chromium is found, CI fails and everybody else is told", async () => {
  assert.equal(await findChromium({ PATH: "/nowhere" }), null);
  await assert.rejects(findChromium({ CHROMIUM_PATH: "/nowhere" }), /CHROMIUM_PATH is \/nowhere/);
  assert.equal(withoutChromium({ CI: "true" }), "fail");
  assert.equal(withoutChromium({ CI: "false" }), "ignore");
  assert.equal(withoutChromium({}), "ignore");
  assert.doesNotMatch(NO_CHROMIUM, /\n/);
});
