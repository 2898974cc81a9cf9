/** Status changes over Realtime, in the local stack's own words, and without it. */
import assert from "node:assert/strict";
import { consoleTest } from "./support/console-test.ts";

await consoleTest("Realtime", {}, {
  "is used where it is available: a change shows without waiting for the next poll": async (
    system,
  ) => {
    const { stack } = system;
    const { page, problems } = await system.open();
    const complaints: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    const email = await system.signUp(page);
    await page.locator(".connection[data-connection=realtime]").waitFor();

    // A service acts for the user, so the page expects no change.
    const [user] = await stack.supabase.sql<{ id: string }>(
      "select id from auth.users where email = $1",
      [email],
    );
    const before = stack.supabase.requests({ service: "rest", method: "GET" }).length;
    const answer = await stack.callAsService({ body: { userId: user?.id } });
    assert.equal(answer.status, 200);
    await page.locator(".machine[data-status=running]").waitFor();
    const after = stack.supabase.requests({ service: "rest", method: "GET" }).length;
    assert.ok(after > before, "the rows were read because of the change");
    assert.deepEqual([problems, complaints], [[], []]);
  },

  "where it is refused, polling takes over": async (system) => {
    const context = await system.newContext();
    await context.routeWebSocket(/\/realtime\/v1\/websocket/, (socket) => socket.close());
    const { page } = await system.open(context);
    await system.signUp(page);
    await page.locator(".connection[data-connection=polling]").waitFor();
  },
});
