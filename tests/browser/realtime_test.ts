/**
 * Status changes over Realtime. The local stack has none, so its socket is answered here, in the
 * messages that Realtime uses (https://supabase.com/docs/guides/realtime/protocol); everything else
 * is real.
 */
import assert from "node:assert/strict";
import type { WebSocketRoute } from "playwright-core";
import { until } from "../support/until.ts";
import { consoleTest } from "./support/console-test.ts";

/** `[join_ref, ref, topic, event, payload]` */
type Message = [string | null, string | null, string, string, Record<string, unknown>];

interface Subscription {
  socket: WebSocketRoute;
  topic: string;
  joinRef: string | null;
  accessToken: unknown;
  tables: unknown[];
}

/** Accepts every join and remembers it. */
function serveRealtime(socket: WebSocketRoute, subscriptions: Subscription[]): void {
  const send = (message: Message) => socket.send(JSON.stringify(message));
  socket.onMessage((text) => {
    const [joinRef, ref, topic, event, payload] = JSON.parse(String(text)) as Message;
    if (event !== "phx_join") {
      send([joinRef, ref, topic, "phx_reply", { status: "ok", response: {} }]);
      return;
    }
    const { config } = payload as { config: { postgres_changes: Record<string, unknown>[] } };
    const changes = config.postgres_changes.map((change, index) => ({ ...change, id: index + 1 }));
    subscriptions.push({
      socket,
      topic,
      joinRef,
      accessToken: payload["access_token"],
      tables: changes.map((change) => (change as { table?: string }).table),
    });
    const response = { postgres_changes: changes };
    send([joinRef, ref, topic, "phx_reply", { status: "ok", response }]);
    const extension = { channel: topic, extension: "postgres_changes", status: "ok" };
    send([joinRef, null, topic, "system", { ...extension, message: "Subscribed to PostgreSQL" }]);
  });
}

await consoleTest("Realtime", {}, {
  "is used where it is available: a change shows without waiting for the next poll": async (
    system,
  ) => {
    const { stack } = system;
    const context = await system.newContext();
    const subscriptions: Subscription[] = [];
    await context.routeWebSocket(
      /\/realtime\/v1\/websocket/,
      (socket) => serveRealtime(socket, subscriptions),
    );
    const { page, problems } = await system.open(context);
    const email = await system.signUp(page);
    await page.locator(".connection[data-connection=realtime]").waitFor();
    const subscription = await until("the page has subscribed", () => subscriptions.at(-1));
    assert.deepEqual(subscription.tables, ["cloud_machines", "machine_events"]);

    // A service acts for the user, so the page expects no change.
    const [user] = await stack.supabase.sql<{ id: string }>(
      "select id from auth.users where email = $1",
      [email],
    );
    const answer = await stack.callAsService({ body: { userId: user?.id } });
    assert.equal(answer.status, 200);
    assert.equal(await page.locator(".machine").count(), 0);
    const change: Message = [subscription.joinRef, null, subscription.topic, "postgres_changes", {
      ids: [1],
      data: {
        schema: "public",
        table: "cloud_machines",
        type: "INSERT",
        commit_timestamp: new Date().toISOString(),
        columns: [],
        record: {},
        errors: null,
      },
    }];
    subscription.socket.send(JSON.stringify(change));
    await page.locator(".machine[data-status=running]").waitFor();
    assert.deepEqual(problems, []);
  },

  "where it is refused, polling takes over": async (system) => {
    const { page } = await system.open();
    await system.signUp(page);
    await page.locator(".connection[data-connection=polling]").waitFor();
  },
});
