/** What an operator finds and does: machines, their owners, and what a request was. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { problemsOf } from "./support/accessibility.ts";
import { consoleTest } from "./support/console-test.ts";
import { openDashboard } from "./support/dashboard.ts";

const search = (page: Page) => page.getByRole("searchbox", { name: "Find" });
const section = (page: Page) =>
  page.locator("section.card", { has: page.getByRole("heading", { name: "Live machines" }) });
const lines = (page: Page) => section(page).locator(".machines li");
const found = (page: Page) => page.locator(".found");

await consoleTest("operator's machines", { env: { MAX_MACHINES: "5" } }, {
  "every live machine is listed with its owner, against the limit": async (system) => {
    const { stack } = system;
    const made: { machineId: string; userId: string; region: string }[] = [];
    for (const region of ["fra", "ams", "iad"]) {
      const user = await stack.supabase.createUser();
      const { body } = await stack.call(user, { body: { region } });
      made.unshift({ machineId: body.machineId, userId: user.id, region });
    }
    const [newest] = made;
    assert.ok(newest);
    const path = `/${newest.machineId}/stop`;
    assert.equal((await stack.callAsService({ method: "POST", path })).status, 200);
    const page = await openDashboard(system, stack.supabase.secretKey);
    await section(page).getByText("3 of 3 users, the newest first.").waitFor();
    for (const [index, { machineId, userId, region }] of made.entries()) {
      const line = lines(page).nth(index);
      await line.getByText(machineId).waitFor();
      await line.getByRole("button", { name: `user ${userId.slice(-8)}` }).waitFor();
      await line.getByText(`${region} · 2 shared CPUs, 512 MB`).waitFor();
    }
    await lines(page).first().locator(".badge.quiet", { hasText: "stopped" }).waitFor();
    const tile = page.locator(".tile", { hasText: "Live machines" });
    await tile.locator(".badge.good", { hasText: "3" }).waitFor();
    await tile.getByText("of 5, 1 stopped").waitFor();
    // Four of five: an alert was sent, and here it shows.
    await stack.call(await stack.supabase.createUser(), { body: {} });
    await tile.locator(".badge.warning", { hasText: "4" }).waitFor();
    assert.equal(await lines(page).count(), 4);
  },

  "the warm pool has a tile where there is one": async (system) => {
    await system.restart({ FLY_ORG_SLUG: "personal", POOL_SIZE: "2" });
    const page = await openDashboard(system, system.stack.supabase.secretKey);
    const tile = page.locator(".tile", { hasText: "Warm pool, ready" });
    // Reconcile fills it, and has not run.
    await tile.locator(".badge.warning", { hasText: "0" }).waitFor();
    await tile.getByText("of 2", { exact: true }).waitFor();
  },

  "a machine, a user, a request and a code are found, however old": async (system) => {
    const { stack } = system;
    const user = await stack.supabase.createUser();
    stack.simulator.addFault({
      match: { action: "create" },
      do: { kind: "status", status: 422, body: { error: "invalid image" } },
    });
    const { body: failure } = await stack.call(user, { body: {} });
    const { body: success } = await stack.call(user, { body: { region: "ams" } });
    await stack.supabase.sql("alter table machine_events disable trigger user");
    await stack.supabase.sql("update machine_events set created_at = now() - interval '40 days'");
    await stack.supabase.sql("alter table machine_events enable trigger user");
    const page = await openDashboard(system, stack.supabase.secretKey);

    const looksFor = async (text: string, summary: string, ...machineIds: string[]) => {
      await search(page).fill(text);
      await found(page).getByRole("status").getByText(summary, { exact: true }).waitFor();
      const shown = await found(page).locator(".machines li").allInnerTexts();
      assert.equal(shown.length, machineIds.length, shown.join("\n"));
      for (const id of machineIds) assert.ok(shown.some((line) => line.includes(id)), id);
    };
    await looksFor(failure.requestId, "1 machine and 2 events.", failure.machineId);
    await found(page).locator(".machines .badge.bad", { hasText: "error" }).waitFor();
    await found(page).locator(".events").getByText("fly_rejected").waitFor();
    assert.deepEqual(await problemsOf(page), [], "found");
    await looksFor(success.machineId, "1 machine and 3 events.", success.machineId);
    await looksFor(success.machineId.slice(0, -3), "1 machine and 3 events.", success.machineId);
    await looksFor(user.id, "2 machines and 5 events.", failure.machineId, success.machineId);
    await looksFor("fly_rejected", "1 machine and 2 events.", failure.machineId);
    await looksFor(success.flyMachineId, "1 machine and 3 events.", success.machineId);
    const nothing = "or begins with it.";
    await search(page).fill("no-such-thing");
    await found(page).getByText(nothing).waitFor();
    // Not a part of the query's own language: it is not even sent.
    const sent: string[] = [];
    page.on("request", (request) => {
      if (request.url().includes("status.eq.running")) sent.push(request.url());
    });
    await search(page).fill("x),status.eq.running,(a.eq.b");
    await found(page).getByText(`is x),status.eq.running,(a.eq.b, ${nothing}`).waitFor();
    assert.deepEqual(sent, []);
    await search(page).fill("");
    assert.equal(await found(page).isVisible(), false);
  },

  "an event leads to all of its machine, user and request": async (system) => {
    const { stack } = system;
    const user = await stack.supabase.createUser();
    const { body } = await stack.call(user, { body: {} });
    const page = await openDashboard(system, stack.supabase.secretKey);
    const row = page.locator(".card > .section-head + div + div .events li", {
      hasText: body.machineId,
    }).first();
    for (const value of [body.machineId, user.id, body.requestId]) {
      await row.getByRole("button", { name: value }).click();
      await search(page).and(page.locator(":focus")).waitFor();
      assert.equal(await search(page).inputValue(), value);
      await found(page).getByText("1 machine and 3 events.").waitFor();
    }
  },

  "destroys any user's machine, after a question, and says how it went": async (system) => {
    const { stack } = system;
    const user = await stack.supabase.createUser();
    const { body: { machineId } } = await stack.call(user, { body: {} });
    const page = await openDashboard(system, stack.supabase.secretKey);
    const button = lines(page).filter({ hasText: machineId }).locator("button.danger");
    const focused = page.locator(":focus");
    await page.route(`**/${machineId}`, (route) => route.abort());
    await button.click();
    await page.getByRole("dialog").getByText(`It belongs to user ${user.id}.`).waitFor();
    assert.deepEqual(await problemsOf(page), [], "the question");
    await page.getByRole("button", { name: "Destroy it" }).click();
    await page.getByText(`${machineId} was not destroyed, as far as is known`).waitFor();
    await page.getByText("The project could not be reached").first().waitFor();
    assert.deepEqual(await problemsOf(page), [], "a failure");
    await page.unrouteAll();

    await button.focus();
    await page.keyboard.press("Enter");
    assert.equal(await focused.innerText(), "Keep it");
    await page.keyboard.press("Escape");
    assert.equal(await focused.innerText(), "Destroy");
    assert.equal((await stack.row(machineId)).status, "running");
    // Without any further read, the page knows from the response alone.
    await page.route("**/rest/v1/cloud_machines**", (route) => route.abort());
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator(".notice.good").getByText(machineId).waitFor();
    await lines(page).filter({ hasText: machineId }).waitFor({ state: "detached" });
    await page.getByRole("heading", { name: "Live machines" }).and(focused).waitFor();
    assert.equal((await stack.row(machineId)).status, "destroyed");
    assert.deepEqual(stack.liveMachines(machineId), []);
  },

  "in an outage the list and what was found are of before, and say so": async (system) => {
    const { stack } = system;
    const { body } = await stack.call(await stack.supabase.createUser(), { body: {} });
    const page = await openDashboard(system, stack.supabase.secretKey);
    await search(page).fill(body.machineId);
    await found(page).getByText("1 machine and 3 events.").waitFor();
    await page.route("**/rest/v1/**", (route) => route.abort());
    await section(page).getByText(/^As of \d\d:\d\d:\d\d: it cannot be read now\.$/).waitFor();
    await found(page).getByText(/^As of \d\d:\d\d:\d\d: it cannot be searched for now\. /)
      .waitFor();
    assert.equal(await page.locator(".finder[data-stale]").count(), 1);
    assert.equal(await found(page).locator(".machines li").count(), 1);
    assert.deepEqual(await problemsOf(page), [], "stale");
    await search(page).fill("another");
    await found(page).getByText(/^Unknown: it cannot be searched for now\. /).waitFor();
    assert.equal(await found(page).locator(".machines li").count(), 0);
    await page.unrouteAll();
    await found(page).getByText("is another, or begins with it.").waitFor();
    await section(page).getByText("1 of 1 user, the newest first.").waitFor();
  },
});
