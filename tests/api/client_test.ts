/** The client against the whole stack. */
import assert from "node:assert/strict";
import { ERROR_CODES } from "../../client/src/codes.ts";
import {
  createProvisionMachineClient,
  type ProvisionMachineClient,
  ProvisionMachineError,
} from "provision-machine-client";
import {
  ASK_AGAIN,
  EXPLANATIONS,
  LATER,
  nextStep,
  saysTryAgain,
} from "../../console/page/error-sentences.ts";
import {
  CALLER_CODES,
  CODES,
  PROVISIONING_CODES,
  RECONCILE_CODES,
} from "../../supabase/functions/provision-machine/errors.ts";
import type { LocalUser } from "../../dev/stack/supabase/mod.ts";
import { checkConnectToken } from "../../examples/machine/connect-token.mjs";
import { machineKey } from "../examples/tokens.ts";
import { CONNECT_SECRET, type Stack, startStack } from "../support/stack.ts";

Deno.test("the client knows every code of the function, and the page explains each", () => {
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

Deno.test("the page advises to try again where the table of codes says that it can help", () => {
  for (const [code, { retry }] of Object.entries(CODES)) {
    const next = nextStep({ code, retry });
    assert.equal(saysTryAgain(next), retry === "new_key", `${code}: ${next}`);
    assert.equal(nextStep({ code, retry: "same_key" }), ASK_AGAIN);
    // An answer with Retry-After says more than its code.
    if (retry === "no") assert.equal(nextStep({ code, retry: "new_key" }), LATER);
  }
});

/** A stack on which every step signs in a user of its own. */
class ClientSystem {
  constructor(readonly stack: Stack) {}

  /** A new user and their client. `waits` collects the pauses, which are skipped. */
  async signIn(
    options: { maxAttempts?: number } = {},
  ): Promise<{ user: LocalUser; client: ProvisionMachineClient; waits: number[] }> {
    const { supabase } = this.stack;
    const user = await supabase.createUser();
    const waits: number[] = [];
    const client = createProvisionMachineClient({
      supabaseUrl: supabase.url,
      publishableKey: supabase.publishableKey,
      getAccessToken: () => Promise.resolve(user.accessToken),
      wait: (delayMs) => Promise.resolve(void waits.push(delayMs)),
      ...options,
    });
    return { user, client, waits };
  }
}

async function failure(call: Promise<unknown>): Promise<ProvisionMachineError> {
  const error = await call.then(() => null, (thrown: unknown) => thrown);
  assert.ok(error instanceof ProvisionMachineError, String(error));
  return error;
}

const STEPS: Record<string, (system: ClientSystem) => Promise<void>> = {
  "provisions and destroys; destroying twice is no error": async (system) => {
    const { stack } = system;
    const { client } = await system.signIn();
    const machine = await client.provision({ region: "fra", cpuPriority: "low" });
    assert.deepEqual([machine.status, machine.region, machine.replayed], ["running", "fra", false]);
    await client.destroy(machine.machineId);
    await client.destroy(machine.machineId);
    assert.equal((await stack.row(machine.machineId)).status, "destroyed");
  },

  "stops, suspends and starts; doing so twice is no error": async (system) => {
    const { client } = await system.signIn();
    const { machineId, websocketUrl } = await client.provision();
    const states: string[] = [];
    for (const change of ["stop", "stop", "start", "start", "suspend", "suspend"] as const) {
      const machine = await client[change](machineId);
      assert.deepEqual([machine.machineId, machine.websocketUrl], [machineId, websocketUrl]);
      states.push(machine.status);
    }
    assert.deepEqual(
      states,
      ["stopped", "stopped", "running", "running", "stopped", "stopped"],
    );
    assert.equal((await client.requestConnection(machineId)).status, "stopped");
    await client.destroy(machineId);
    assert.equal((await failure(client.start(machineId))).code, "machine_state_conflict");
  },

  "connects with a new token each time; never to a machine that is gone": async (system) => {
    const { stack } = system;
    const { client, user } = await system.signIn();
    const { machineId, websocketUrl } = await client.provision();
    const connection = await client.requestConnection(machineId);
    const { token, url, expiresAt } = connection;
    assert.deepEqual([connection.machineId, connection.websocketUrl], [machineId, websocketUrl]);
    assert.equal(url, `${websocketUrl}?token=${token}`);
    const claims = await checkConnectToken(url, {
      machineId,
      key: machineKey(machineId, CONNECT_SECRET),
    });
    assert.deepEqual([claims.sub, claims.exp * 1_000], [user.id, Date.parse(expiresAt)]);
    await client.destroy(machineId);
    const error = await failure(client.requestConnection(machineId));
    assert.deepEqual([error.code, error.machineId], ["machine_state_conflict", machineId]);
    stack.secrets.add("a connect token", token);
  },

  "after a lost response the same key finds the same machine": async (system) => {
    const { stack } = system;
    const { client, waits } = await system.signIn();
    const before = stack.simulator.liveMachines().length;
    stack.supabase.addFault({
      match: { service: "functions" },
      times: 2,
      do: { kind: "reset", when: "after" },
    });
    const machine = await client.provision();
    assert.equal(machine.replayed, true);
    assert.equal(stack.simulator.liveMachines().length, before + 1);
    assert.deepEqual(waits, [500, 1_000]);
  },

  "gives up in the end, with the key to try again with": async (system) => {
    const { stack } = system;
    const { client, user } = await system.signIn({ maxAttempts: 2 });
    stack.supabase.addFault({
      match: { service: "functions" },
      times: 2,
      do: { kind: "reset", when: "after" },
    });
    const error = await failure(client.provision());
    assert.equal(error.code, "network_error");
    assert.ok(error.retry === "same_key" && error.idempotencyKey);
    const machine = await client.provision({}, { idempotencyKey: error.idempotencyKey });
    assert.equal(machine.replayed, true);
    assert.equal((await stack.rowsOf(user)).length, 1);
  },

  "a function that is still starting is called again": async (system) => {
    const { stack } = system;
    const { client } = await system.signIn();
    stack.supabase.setFunction("provision-machine", null);
    let retries = 0;
    const machine = await client.provision({}, {
      onRetry: ({ error }) => {
        assert.equal(error.status, 503);
        retries++;
        stack.supabase.setFunction("provision-machine", stack.fn.url);
      },
    });
    assert.deepEqual([machine.status, retries], ["running", 1]);
  },

  "a response of the function is never retried automatically": async (system) => {
    const { stack } = system;
    const { client, waits } = await system.signIn();
    stack.simulator.addFault({
      match: { action: "create" },
      do: { kind: "status", status: 422, body: { error: "insufficient resources" } },
    });
    const error = await failure(client.provision());
    assert.deepEqual([error.code, error.status], ["fly_capacity", 500]);
    assert.ok((error.retryAfterSeconds ?? 0) > 0);
    assert.ok(error.requestId && error.machineId);
    assert.equal(error.retry, "new_key");
    assert.deepEqual(waits, []);
  },

  "names each mistake, and the machine that takes up the limit": async (system) => {
    const { client } = await system.signIn();
    const invalid = await failure(client.provision({ region: "moon" }));
    assert.deepEqual(invalid.issues.map(({ path }) => path), ["region"]);
    const { machineId } = await client.provision();
    const limit = await failure(client.provision());
    assert.deepEqual([limit.code, limit.machineId], ["machine_limit_reached", machineId]);
  },

  "respond-async returns at once": async (system) => {
    const { client } = await system.signIn();
    const begun = await client.provision({}, { respondAsync: true, idempotencyKey: "async" });
    assert.equal(begun.status, "provisioning");
    // Without respond-async, the same key waits for the outcome.
    const done = await client.provision({}, { idempotencyKey: "async" });
    assert.deepEqual([done.status, done.machineId], ["running", begun.machineId]);
  },

  "can be aborted": async (system) => {
    const { stack } = system;
    const { client } = await system.signIn();
    const leaving = new AbortController();
    stack.supabase.addFault({
      match: { service: "functions" },
      do: { kind: "hang", when: "before" },
    });
    const call = client.provision({}, { signal: leaving.signal });
    leaving.abort(new Error("gone"));
    await assert.rejects(call, /gone/);
  },
};

Deno.test("the client", async (test) => {
  await using stack = await startStack();
  for (const [name, run] of Object.entries(STEPS)) {
    await test.step(name, () => run(new ClientSystem(stack)));
  }
});
