/** What the client lists and watches, and that its row types are those of the database. */
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import {
  type Connection,
  createProvisionMachineClient,
  type Database,
  type Machine,
  type MachineEventRow,
  type MachineRow,
  type MachineUsageRow,
  type ProvisionRequest,
} from "provision-machine-client";
import type { z } from "zod";
import type { SCHEMAS } from "../../dev/openapi/schemas.ts";
import type { Database as Generated } from "../../supabase/functions/provision-machine/database/types.ts";
import { startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

type Tables = Generated["public"]["Tables"];
type Views = Generated["public"]["Views"];

/** Per column: whether it exists, holds what the database says, and can be null when it can there. */
type Fits<Own, Row> = {
  [Column in keyof Own]: Column extends keyof Row
    ? Own[Column] extends Row[Column]
      ? null extends Row[Column] ? null extends Own[Column] ? true : "cannot be null" : true
    : "of another type"
    : "not in the database";
};
type AllTrue<Columns extends Record<keyof Columns, true>> = Columns;

// These fail the type check, not the test.
export type MachineFits = AllTrue<Fits<MachineRow, Tables["cloud_machines"]["Row"]>>;
export type EventFits = AllTrue<Fits<MachineEventRow, Tables["machine_events"]["Row"]>>;
export type UsageFits = AllTrue<Fits<MachineUsageRow, Views["machine_usage"]["Row"]>>;

/** The client's results are what the API's description says. */
export const machineFits = (
  answer: z.output<typeof SCHEMAS.Machine | typeof SCHEMAS.PendingMachine>,
): Omit<Machine, "replayed"> => answer;
export const connectionFits = (
  answer: z.output<typeof SCHEMAS.Connection>,
): Omit<Connection, "url"> => answer;
export const requestFits = (
  request: ProvisionRequest,
): z.input<typeof SCHEMAS.ProvisionRequest> => request;

/** Every column of a type; a column that is missing here, or too much, fails the type check. */
const MACHINE: Record<keyof MachineRow, true> = {
  id: true,
  machine_id: true,
  status: true,
  region: true,
  cpu_priority: true,
  websocket_url: true,
  fly_machine_id: true,
  error_code: true,
  error_message: true,
  stop_reason: true,
  request_id: true,
  created_at: true,
  updated_at: true,
  provisioned_at: true,
  destroy_requested_at: true,
};
const EVENT: Record<keyof MachineEventRow, true> = {
  id: true,
  cloud_machine_id: true,
  request_id: true,
  kind: true,
  error_code: true,
  duration_ms: true,
  created_at: true,
};

const PASSWORD = "correct horse";
// supabase-js leaves timers behind that end by themselves.
const SANITIZERS = { sanitizeOps: false, sanitizeResources: false };

Deno.test("the client's list", SANITIZERS, async (t) => {
  await using stack = await startStack();
  const { supabase } = stack;
  const { email } = await supabase.createUser({
    email: `${crypto.randomUUID()}@example.com`,
    password: PASSWORD,
  });
  const session = createClient<Database>(supabase.url, supabase.publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const client = createProvisionMachineClient({
    supabaseUrl: `${supabase.url}/`,
    publishableKey: supabase.publishableKey,
    supabase: session,
    wait: () => Promise.resolve(),
  });

  await t.step("is refused without a session, with a typed error", async () => {
    await assert.rejects(client.provision(), { code: "unauthorized", status: 401, retry: "no" });
    await assert.rejects(client.list(), { code: "unexpected_response", status: 401 });
  });

  await t.step("has the user's own machines, newest first, with every column", async () => {
    const { error } = await session.auth.signInWithPassword({ email, password: PASSWORD });
    assert.equal(error, null);
    assert.equal((await stack.call(await supabase.createUser())).status, 200);
    const first = await client.provision({ region: "fra" });
    await client.destroy(first.machineId);
    const second = await client.provision();
    const machines = await client.list({ events: true });
    assert.deepEqual(
      machines.map(({ machine_id, status, region }) => [machine_id, status, region]),
      [[second.machineId, "running", "iad"], [first.machineId, "destroyed", "fra"]],
    );
    const [machine] = machines;
    const lacking = Object.keys(MACHINE).filter((column) => !(column in (machine ?? {})));
    assert.deepEqual(lacking, []);
    const kinds = machines[1]?.machine_events?.map(({ kind }) => kind) ?? [];
    assert.equal(kinds.at(-1), "destroyed");
    const [event] = machine?.machine_events ?? [];
    assert.deepEqual(Object.keys(EVENT).filter((column) => !(column in (event ?? {}))), []);
    const limited = await client.list({ limit: 1 });
    assert.deepEqual(limited.map(({ machine_id }) => machine_id), [second.machineId]);
    assert.equal(limited[0]?.machine_events, undefined);
  });

  await t.step("is kept current over Realtime", async () => {
    const [machine] = await client.list();
    assert.ok(machine);
    const seen: string[] = [];
    const states: string[] = [];
    const watched = client.watch({
      onMachines: ([newest]) => seen.push(newest?.status ?? "none"),
      onState: (state) => states.push(state),
      // Without Realtime nothing would be read again.
      pollMs: () => 3_600_000,
    });
    await until("it is subscribed", () => states.at(-1) === "realtime" && seen.length > 1);
    await client.stop(machine.machine_id);
    await until("the stop is seen", () => seen.at(-1) === "stopped");
    watched.close();
  });

  await t.step("rejects with the reason of its signal", async () => {
    const reason = new Error("we left");
    await assert.rejects(client.list({ signal: AbortSignal.abort(reason) }), reason);
  });

  await session.realtime.disconnect();
});
