/** Lost responses, a browser that goes offline, two tabs, and another user's machine. */
import assert from "node:assert/strict";
import type { Page, Request } from "playwright-core";
import { consoleTest } from "./support/console-test.ts";

/** The POSTs to the function that a tab sends from now on. */
function provisionCalls(page: Page): Request[] {
  const calls: Request[] = [];
  page.on("request", (request) => {
    if (request.method() === "POST" && request.url().endsWith("/provision-machine")) {
      calls.push(request);
    }
  });
  return calls;
}

const keysOf = (calls: Request[]) => calls.map((call) => call.headers()["idempotency-key"]);

await consoleTest("network", {}, {
  "a call whose response is lost is repeated with the same key": async (system) => {
    const { stack } = system;
    const { page } = await system.open();
    await system.signUp(page);
    const calls = provisionCalls(page);
    const before = stack.simulator.liveMachines().length;
    stack.supabase.addFault({
      match: { service: "functions", method: "POST" },
      times: 2,
      do: { kind: "reset", when: "after" },
    });
    await page.getByRole("button", { name: "Provision", exact: true }).click();
    await page.getByText("Machine provisioned successfully").waitFor();
    assert.equal(calls.length, 3);
    assert.equal(new Set(keysOf(calls)).size, 1);
    assert.equal(stack.simulator.liveMachines().length, before + 1);
  },

  "offline: says so, and continues when the network is back": async (system) => {
    const { page } = await system.open();
    await system.signUp(page);
    const calls = provisionCalls(page);
    await page.context().setOffline(true);
    await page.locator(".connection[data-connection=offline]").waitFor();
    await page.getByRole("button", { name: "Provision", exact: true }).click();
    await page.getByText("sent again as soon as you are back").waitFor();
    await page.context().setOffline(false);
    await page.locator(".machine[data-status=running]").waitFor();
    await page.getByText("Up to date").waitFor();
    assert.equal(new Set(keysOf(calls)).size, 1);
  },

  "Supabase is down for a while: what is shown is stale, with its time, until it recovers": async (
    system,
  ) => {
    const { page } = await system.open();
    await system.signUp(page);
    await page.getByRole("button", { name: "Provision", exact: true }).click();
    await page.locator(".machine[data-status=running]").waitFor();
    const colour = () =>
      page.locator(".machine .status .badge").evaluate((element) =>
        // deno-lint-ignore no-explicit-any -- this runs in the browser, whose types are not here
        (globalThis as any).getComputedStyle(element).color
      );
    const green = await colour();
    system.stack.supabase.setOutage({ services: ["rest"] });
    // Returning to a tab makes it read at once.
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
    await page.getByText("Supabase does not respond, trying again").waitFor();
    await page.locator(".connection").getByText(/^as of \d\d:\d\d:\d\d$/).waitFor();
    assert.notEqual(await colour(), green, "what was green may have changed since");
    system.stack.supabase.setOutage(false);
    await page.getByText("Up to date").waitFor();
    assert.equal(await colour(), green);
  },

  "machines that were never read are loading, then unknown, and not none": async (system) => {
    const { page } = await system.open();
    await system.signUp(page);
    await page.getByText("No machine yet").waitFor();
    let answer = (_: "abort" | "continue") => {};
    const answered = new Promise<"abort" | "continue">((resolve) => answer = resolve);
    await page.route("**/rest/v1/cloud_machines**", async (route) => {
      await route[await answered]();
    });
    await page.reload();
    await page.getByText("Loading your machines …").waitFor();
    answer("abort");
    await page.getByText("Your machines are not known").waitFor();
    assert.equal(await page.getByText("No machine yet").count(), 0);
    await page.unrouteAll();
    await page.getByText("No machine yet").waitFor();
    assert.equal(await page.getByText("Your machines are not known").count(), 0);
  },

  "two tabs: each shows what the other does; pressing in both creates one machine": async (
    system,
  ) => {
    const { stack } = system;
    const context = await system.newContext();
    const { page: first } = await system.open(context);
    await system.signUp(first);
    // Without slow polls, the second tab learns of changes only from the first.
    await context.addInitScript(`
      const later = setTimeout;
      globalThis.setTimeout = (run, ms, ...rest) => ms >= 5000 ? 0 : later(run, ms, ...rest);
    `);
    const { page: second } = await system.open(context);
    const button = { name: "Provision", exact: true };
    await second.getByRole("button", button).waitFor();
    const before = stack.simulator.liveMachines().length;

    await Promise.all([
      first.getByRole("button", button).click(),
      second.getByRole("button", button).click(),
    ]);
    for (const page of [first, second]) {
      await page.locator(".machine[data-status=running]").waitFor();
    }
    const names = await Promise.all(
      [first, second].map((page) => page.locator(".machine > header h2").allInnerTexts()),
    );
    assert.deepEqual(names[0], names[1]);
    assert.equal(names[0]?.length, 1);
    assert.equal(stack.simulator.liveMachines().length, before + 1);

    await first.getByRole("button", { name: "Destroy", exact: true }).click();
    await first.getByRole("button", { name: "Destroy it" }).click();
    await second.locator(".machine[data-status=destroyed]").waitFor();

    await second.getByRole("button", { name: "Sign out" }).click();
    await first.getByLabel("Email").waitFor();
  },

  "another user's machine can be neither seen nor destroyed": async (system) => {
    const { stack } = system;
    const { page: owner } = await system.open();
    await system.signUp(owner);
    await owner.getByRole("button", { name: "Provision", exact: true }).click();
    await owner.locator(".machine[data-status=running]").waitFor();
    const machineId = await owner.locator(".machine > header h2").innerText();

    const { page: stranger } = await system.open();
    await system.signUp(stranger);
    await stranger.getByText("No machine yet").waitFor();
    const { url, publishableKey } = stack.supabase;
    // With the stranger's own session, as supabase-js keeps it in the page.
    const attempts = await stranger.evaluate(async ({ url, publishableKey, machineId }) => {
      const stored = Object.entries(localStorage).find(([name]) => name.endsWith("-auth-token"));
      const { access_token, user } = JSON.parse(stored?.[1] ?? "{}");
      const headers = { apikey: publishableKey, authorization: `Bearer ${access_token}` };
      const destroy = await fetch(`${url}/functions/v1/provision-machine/${machineId}`, {
        method: "DELETE",
        headers,
      });
      const read = await fetch(`${url}/rest/v1/cloud_machines?select=*`, { headers });
      const write = await fetch(`${url}/rest/v1/cloud_machines?machine_id=eq.${machineId}`, {
        method: "PATCH",
        headers: { ...headers, "content-type": "application/json" },
        body: JSON.stringify({ user_id: user.id }),
      });
      return {
        destroy: { status: destroy.status, body: await destroy.json() },
        rows: await read.json(),
        written: write.ok,
      };
    }, { url, publishableKey, machineId });
    assert.equal(attempts.destroy.status, 404);
    assert.equal(attempts.destroy.body.code, "not_found");
    assert.deepEqual(attempts.rows, []);
    assert.equal(attempts.written, false);
    const row = await stack.row(machineId);
    assert.equal(row.status, "running");
    assert.equal(stack.liveMachines(machineId).length, 1);
  },
});
