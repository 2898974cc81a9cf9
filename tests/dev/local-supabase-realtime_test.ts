/** Realtime of the local stack, as supabase-js uses it. */
import assert from "node:assert/strict";
import { createClient, type RealtimeChannel, type SupabaseClient } from "@supabase/supabase-js";
import { type LocalSupabase, startSupabase } from "../../dev/stack/supabase/mod.ts";
import { until } from "../support/until.ts";

interface Change {
  eventType: string;
  table: string;
  new: Record<string, unknown>;
  old: Record<string, unknown>;
}

interface Listener {
  changes: Change[];
  states: string[];
  channel: RealtimeChannel;
}

const PASSWORD = "correct horse";

/** A new user's client with a connection of its own. */
async function signIn(supabase: LocalSupabase): Promise<{ id: string; client: SupabaseClient }> {
  const { id, email } = await supabase.createUser({
    email: `${crypto.randomUUID()}@example.com`,
    password: PASSWORD,
  });
  const client = createClient(supabase.url, supabase.publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const { error } = await client.auth.signInWithPassword({ email, password: PASSWORD });
  assert.equal(error, null);
  return { id, client };
}

function listen(client: SupabaseClient, filter?: string, isPrivate = false): Listener {
  const changes: Change[] = [];
  const states: string[] = [];
  const channel = client.channel(crypto.randomUUID(), { config: { private: isPrivate } }).on(
    "postgres_changes",
    { event: "*", schema: "public", table: "cloud_machines", ...(filter ? { filter } : {}) },
    (change) => changes.push(change),
  );
  channel.subscribe((status) => states.push(status));
  return { changes, states, channel };
}

const subscribed = ({ states }: Listener) =>
  until("it is subscribed", () => states.includes("SUBSCRIBED"));

/** Writes a row as the service does. */
async function insert(supabase: LocalSupabase, userId: string, machineId: string): Promise<void> {
  await supabase.sql(
    `insert into cloud_machines
       (user_id, machine_id, region, cpu_priority, request_id, request_hash, deadline_at, reconcile_at)
     values ($1, $2, 'iad', 'low', 'request-1', 'hash', now(), now())`,
    [userId, machineId],
  );
}

// supabase-js leaves timers behind that end by themselves.
const SANITIZERS = { sanitizeOps: false, sanitizeResources: false };

Deno.test("changes reach the owner of a row and no one else", SANITIZERS, async (t) => {
  const supabase = await startSupabase();
  const owner = await signIn(supabase);
  const other = await signIn(supabase);
  const anonymous = createClient(supabase.url, supabase.publishableKey);
  const clients = [owner.client, other.client, anonymous];
  try {
    const own = listen(owner.client);
    const filtered = listen(owner.client, "machine_id=eq.machine-2");
    const others = [listen(other.client), listen(anonymous)];
    await Promise.all([own, filtered, ...others].map(subscribed));

    await t.step("a new row, with the types of its columns", async () => {
      await insert(supabase, owner.id, "machine-1");
      await insert(supabase, owner.id, "machine-2");
      await until("both arrive", () => own.changes.length === 2);
      const [change] = own.changes;
      assert.deepEqual([change?.eventType, change?.table], ["INSERT", "cloud_machines"]);
      const [row] = (await owner.client.from("cloud_machines").select()
        .eq("machine_id", "machine-1")).data ?? [];
      assert.deepEqual(Object.keys(change?.new ?? {}).sort(), Object.keys(row).sort());
      assert.deepEqual(
        [change?.new["status"], change?.new["reconcile_attempts"]],
        ["provisioning", 0],
      );
    });

    await t.step("an update, each as it was; of what was before only the key", async () => {
      for (const region of ["fra", "ams"]) {
        await supabase.sql(
          "update cloud_machines set region = $1 where machine_id = 'machine-2'",
          [region],
        );
      }
      await until("they arrive", () => filtered.changes.length === 3);
      assert.deepEqual(filtered.changes.map((change) => change.new["region"]), [
        "iad",
        "fra",
        "ams",
      ]);
      assert.deepEqual(Object.keys(filtered.changes[1]?.old ?? {}), ["id"]);
    });

    await t.step("what is rolled back has not happened", async () => {
      await assert.rejects(supabase.sql(
        "update cloud_machines set region = 'sin', status = 'nonsense' where machine_id = 'machine-2'",
      ));
      await supabase.sql("update cloud_machines set region = 'lhr' where machine_id = 'machine-2'");
      await until("the next arrives", () => filtered.changes.length === 4);
      assert.equal(filtered.changes[3]?.new["region"], "lhr");
    });

    await t.step("nobody else heard of it", async () => {
      await insert(supabase, other.id, "machine-3");
      await until("the other user's own arrives", () => (others[0]?.changes.length ?? 0) > 0);
      assert.deepEqual(
        others.map(({ changes }) => changes.map((change) => change.new["machine_id"])),
        [["machine-3"], []],
      );
      assert.ok(own.changes.every((change) => change.new["machine_id"] !== "machine-3"));
    });

    await t.step("after it has left, a client hears nothing", async () => {
      await filtered.channel.unsubscribe();
      await supabase.sql("update cloud_machines set region = 'iad' where machine_id = 'machine-2'");
      await until("the others hear it", () => own.changes.at(-1)?.new["region"] === "iad");
      assert.equal(filtered.changes.length, 4);
    });

    await t.step("what is not played is refused with its name", async () => {
      const refused = [
        listen(owner.client, "region=like.i*"),
        listen(owner.client, undefined, true),
      ];
      for (const { states, channel } of refused) {
        await until("it is refused", () => states.includes("CHANNEL_ERROR"));
        await channel.unsubscribe();
      }
    });
  } finally {
    await Promise.all(clients.map((client) => client.realtime.disconnect()));
    await Promise.all(clients.map((client) => client.auth.stopAutoRefresh()));
    await supabase.close();
  }
});

Deno.test("without a key of the stack there is no connection, and no token is taken on trust", async () => {
  const supabase = await startSupabase();
  try {
    const address = supabase.url.replace("http", "ws") + "/realtime/v1/websocket?vsn=2.0.0";
    const stranger = new WebSocket(`${address}&apikey=nonsense`);
    await new Promise((resolve) => stranger.onerror = resolve);
    const socket = new WebSocket(`${address}&apikey=${supabase.publishableKey}`);
    await new Promise((resolve) => socket.onopen = resolve);
    const answer = new Promise<string>((resolve) => socket.onmessage = ({ data }) => resolve(data));
    const payload = { config: {}, access_token: "forged" };
    socket.send(JSON.stringify(["1", "1", "realtime:x", "phx_join", payload]));
    const response = { reason: "The token is not valid" };
    assert.deepEqual(JSON.parse(await answer), [
      "1",
      "1",
      "realtime:x",
      "phx_reply",
      { status: "error", response },
    ]);
    const closed = new Promise((resolve) => socket.onclose = resolve);
    socket.close();
    await closed;
  } finally {
    await supabase.close();
  }
});
