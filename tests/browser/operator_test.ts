/** The whole path of an operator, in a real browser. */
import assert from "node:assert/strict";
import { consoleTest } from "./support/console-test.ts";
import { inkOf, openDashboard, table } from "./support/dashboard.ts";
import { fillHistory } from "./support/history.ts";

await consoleTest("operator", {}, {
  "sees what happened, in pictures and in words": async (system) => {
    const { stack } = system;
    await fillHistory(stack, 24);
    const page = await openDashboard(system, stack.supabase.secretKey);
    const [truth] = await stack.supabase.sql<{ succeeded: number; failed: number }>(
      `select count(*) filter (where kind in ('running', 'adopted'))::integer as succeeded,
         count(*) filter (where kind in ('failed', 'interrupted'))::integer as failed
       from machine_events`,
    );
    const { succeeded = 0, failed = 0 } = truth ?? {};
    assert.ok(succeeded > 0 && failed > 0, "there is something to show");

    await page.getByText(`of ${succeeded + failed} attempts succeeded in the last 1 hour`)
      .waitFor();
    for (const figure of ["success", "durations", "failures", "machines"]) {
      await page.locator(`#${figure}[data-state=current] canvas`).waitFor();
      assert.ok(await inkOf(page, figure) > 500, `${figure} is drawn`);
    }
    const success = await table(page, "success");
    const sum = (rows: string[][], column: number) =>
      rows.reduce((total, row) => total + Number(row[column]), 0);
    assert.deepEqual([sum(success, 1), sum(success, 2)], [succeeded, failed]);
    assert.ok(new Set(success.filter(([, n]) => n !== "0").map(([from]) => from)).size > 5);

    const codes = await stack.supabase.sql<{ error_code: string; n: number }>(
      `select error_code, count(*)::integer as n from machine_events
       where kind = 'failed' group by 1 order by 2 desc, 1`,
    );
    const shown = await table(page, "failures");
    assert.deepEqual(
      new Map(shown.map(([code = "", n]) => [code, Number(n)])),
      new Map(codes.map(({ error_code, n }) => [error_code, n])),
    );
    const rows = await stack.supabase.sql<{ region: string; running: number }>(
      `select region, count(*)::integer as running from cloud_machines
       where status = 'running' group by region`,
    );
    const machines = await table(page, "machines");
    assert.equal(machines.length, rows.length);
    for (const { region, running } of rows) {
      const row = machines.find(([name]) => name?.includes(`(${region})`));
      assert.deepEqual(row?.slice(1), [String(running), "0", "0"], region);
    }
    await page.locator(".events li").first().waitFor();
    assert.equal(await page.locator(".events li").count(), 12);
    await page.locator(".checks").getByText("Setting FLY_API_TOKEN").waitFor();
    assert.equal(await page.getByText("environment:").count(), 0);
    await page.getByLabel("Show the last").selectOption("7 days");
    await page.getByText("succeeded in the last 7 days").waitFor();
  },

  "sees a new failure without reloading": async (system) => {
    const { stack } = system;
    const page = await openDashboard(system, stack.supabase.secretKey);
    await page.locator(".events li").first().waitFor();
    stack.simulator.addFault({
      match: { action: "create" },
      do: { kind: "status", status: 422, body: { error: "invalid image" } },
    });
    await stack.call(await stack.supabase.createUser(), { body: {} });
    await page.locator(".events li").first().getByText("fly_rejected").waitFor();
    assert.ok((await table(page, "failures")).some(([code]) => code === "fly_rejected"));
  },

  "failures and machines are those of now: old failures and dead machines do not count": async (
    system,
  ) => {
    const { stack } = system;
    await stack.supabase.sql("alter table machine_events disable trigger user");
    await stack.supabase.sql(
      `update machine_events set created_at = now() - interval '3 hours' where kind = 'failed'`,
    );
    await stack.supabase.sql("alter table machine_events enable trigger user");
    const page = await openDashboard(system, stack.supabase.secretKey);
    await page.locator("#failures").getByText("No attempt failed in the last 1 hour.").waitFor();
    await page.getByLabel("Show the last").selectOption("24 hours");
    await page.locator("#failures").getByText(/\d+ attempts? failed in the last 24 hours/)
      .waitFor();
    const [truth] = await stack.supabase.sql<{ n: number }>(
      "select count(*)::integer as n from cloud_machines where status = 'running'",
    );
    const counts = (await table(page, "machines")).map(([, running]) => Number(running));
    assert.equal(counts.reduce((a, b) => a + b, 0), truth?.n);
    assert.equal(await page.locator(".events .badge.busy").count(), 0);
  },

  "repairs with one button": async (system) => {
    const { stack } = system;
    const user = await stack.supabase.createUser();
    const { body } = await stack.call(user, { body: {} });
    // Its machine disappears at Fly.io.
    stack.simulator.killMachine(body.machineId);
    const page = await openDashboard(system, stack.supabase.secretKey);
    await page.getByRole("button", { name: "Reconcile now" }).click();
    await page.getByText("1 machines may be lost or without a row").waitFor();
    // Only a second sighting, a minute later, proves it.
    await stack.supabase.sql(
      "update cloud_machines set missing_since = missing_since - interval '2 minutes'",
    );
    await page.getByRole("button", { name: "Reconcile now" }).click();
    await page.getByText("1 rows closed whose machine is gone").waitFor();
    assert.equal((await stack.row(body.machineId)).error_code, "machine_lost");
    await page.locator(".events li").first().getByText("gone from Fly.io").waitFor();
    await page.getByRole("button", { name: "Reconcile now" }).click();
    await page.getByText("Everything was in order: nothing to repair").waitFor();
  },

  "sees what is wrong with the configuration": async (system) => {
    await system.restart({ FLY_API_TOKEN: undefined });
    const page = await openDashboard(system, system.stack.supabase.secretKey);
    const check = page.locator(".checks li").first();
    await check.getByText("Broken").waitFor();
    await check.getByText("Setting FLY_API_TOKEN").waitFor();
    await page.locator(".tile").first().getByText("Broken").waitFor();
  },

  "a wrong key is refused, with the request id": async (system) => {
    const page = await openDashboard(system, "sb_secret_wrong");
    await page.getByText("The key is not accepted.").waitFor();
    await page.getByText("HTTP 401 unauthorized").waitFor();
    assert.match(await page.locator(".key-form code").innerText(), /^[\w.-]{8,}$/);
    const user = await system.stack.supabase.createUser();
    await page.getByLabel("Service key").fill(user.accessToken);
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByText("HTTP 403 forbidden").waitFor();
  },

  "the key is nowhere but in memory": async (system) => {
    const { secretKey } = system.stack.supabase;
    const page = await openDashboard(system, secretKey);
    await page.getByRole("heading", { name: "How provisioning is doing" }).waitFor();
    const kept = await page.evaluate(async () => {
      // deno-lint-ignore no-explicit-any -- this runs in the browser, whose types are not here
      const browser = globalThis as any;
      return JSON.stringify([
        { ...localStorage },
        { ...sessionStorage },
        browser.document.cookie,
        browser.location.href,
        browser.document.documentElement.outerHTML,
        await browser.indexedDB.databases(),
        await browser.caches.keys(),
      ]);
    });
    assert.ok(!kept.includes(secretKey));
    await page.reload();
    await page.getByLabel("Service key").waitFor();
  },
});

await consoleTest("operator without the console's server", { config: { operatorUrl: "" } }, {
  "shows what the function returns, and says what the gateway refuses": async (system) => {
    const page = await openDashboard(system, system.stack.supabase.serviceRoleKey);
    await page.locator(".checks").getByText("Setting FLY_API_TOKEN").waitFor();
    await page.locator("#machines").getByText("There is no live machine.").waitFor();
    // Unlike the hosted gateway, the local one refuses legacy keys from browsers too.
    await page.getByRole("alert").getByText("Forbidden use of secret API key in browser").waitFor();
    await page.locator("#success").getByText("Unknown: it cannot be read.").waitFor();
  },

  "a gateway that refuses secret keys from browsers is explained": async (system) => {
    const { stack } = system;
    // As the hosted gateway responds, https://supabase.com/docs/guides/api/api-keys#secret-keys
    stack.supabase.onRequest(({ service, method }) =>
      service === "functions" && method !== "OPTIONS"
        ? {
          kind: "status",
          status: 401,
          body: { message: "Invalid API key" },
          headers: { "access-control-allow-origin": "*" },
        }
        : undefined
    );
    const page = await openDashboard(system, stack.supabase.secretKey);
    await page.getByText("refuses secret keys that come from a browser").waitFor();
    await page.getByText("deno task console").waitFor();
  },
});
