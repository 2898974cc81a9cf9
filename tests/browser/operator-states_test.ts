/** What an operator sees while something is loading, unknown, stale or bad. */
import assert from "node:assert/strict";
import { until } from "../support/until.ts";
import { problemsOf } from "./support/accessibility.ts";
import { consoleTest } from "./support/console-test.ts";
import { colourOf, openDashboard } from "./support/dashboard.ts";

await consoleTest("operator's states", {}, {
  "in an outage nothing untrue is shown, and nothing of before stays green": async (system) => {
    const { stack } = system;
    const page = await openDashboard(system, stack.supabase.secretKey);
    const tile = (name: string) => page.locator(".tile", { hasText: name });
    await tile("Health").getByText(/Fine|Warning/).waitFor();
    await page.getByRole("button", { name: "Reconcile now" }).click();
    await page.getByText("Everything was in order").waitFor();
    const green = await colourOf(page, ".checks .badge.good");

    // From here on the gateway responds in place of the function, with 503.
    stack.supabase.setFunction("provision-machine", null);
    const alert = page.getByRole("alert");
    await alert.getByText("Health, Metrics").waitFor();
    await alert.getByText(/^Not a response of the function, .* HTTP 503/).waitFor();
    assert.doesNotMatch(await page.locator("main").innerText(), /invalid_value|expected|"code"/);
    for (const name of ["Health", "Live machines", "Oldest in progress", "Last reconcile"]) {
      await tile(name).getByText(/^as of \d\d:\d\d:\d\d$/).waitFor();
      assert.equal(await tile(name).locator(".badge").count(), 0, `${name} has no tone`);
    }
    await page.getByText(/^As of \d\d:\d\d:\d\d: it cannot be read now\.$/).first().waitFor();
    assert.notEqual(await colourOf(page, ".checks .badge.good"), green, "checks");
    assert.notEqual(await colourOf(page, ".panel .badge.good"), green, "reconcile's result");
    // The events are read from the database, which is well.
    await page.locator("#success[data-state=current]").waitFor();

    stack.supabase.setFunction("provision-machine", stack.fn.url);
    await page.locator("#machines[data-state=current]").waitFor();
    assert.equal(await alert.innerText(), "");
    assert.equal(await colourOf(page, ".checks .badge.good"), green);
    // It was found before the outage, so it is no news of now.
    assert.notEqual(await colourOf(page, ".panel .badge.good"), green, "reconcile's result");
  },

  "what was never read is loading, then unknown, and neither none nor never": async (system) => {
    let fail = () => {};
    const failing = new Promise<void>((resolve) => fail = resolve);
    const { page } = await system.open(undefined, "#operator");
    await page.route("**/operator/**", async (route) => {
      await failing;
      await route.abort();
    });
    await page.getByLabel("Service key").fill(system.stack.supabase.secretKey);
    await page.getByRole("button", { name: "Show" }).click();
    const values = page.locator(".tile-value");
    assert.deepEqual(await values.allInnerTexts(), Array(5).fill("Loading"));
    const top = async () => Math.round((await page.locator("#machines").boundingBox())?.y ?? NaN);
    const before = await top();
    assert.deepEqual(await problemsOf(page), [], "loading");

    fail();
    await page.getByRole("alert").getByText("Health, Metrics, Events").waitFor();
    assert.deepEqual(await values.allInnerTexts(), Array(5).fill("Unknown"));
    assert.equal(await page.locator(".chart canvas:visible").count(), 0);
    assert.deepEqual(await problemsOf(page), [], "unknown");

    await page.unrouteAll();
    await page.locator("#machines[data-state=current]").waitFor();
    await page.locator("#success[data-state=current]").waitFor();
    await page.locator(".panel.error").waitFor({ state: "detached" });
    assert.equal(await top(), before, "the page does not jump when the figures come");
  },

  "tiles are aligned, and what is bad looks bad": async (system) => {
    const { stack } = system;
    stack.simulator.addFault({
      match: { action: "create" },
      do: { kind: "status", status: 422, body: { error: "invalid image" } },
    });
    await stack.call(await stack.supabase.createUser(), { body: {} });
    const page = await openDashboard(system, stack.supabase.secretKey);
    const success = page.locator(".tile", { hasText: "Succeeded" });
    await success.locator(".badge.bad, .badge.warning").waitFor();
    await success.getByText(/^[1-9]\d* of \d+ failed$/).waitFor();
    await page.locator(".tile", { hasText: "Live machines" }).getByText(/^\d+$/).waitFor();
    const boxes = await page.locator(".tile-value").evaluateAll((values) =>
      // deno-lint-ignore no-explicit-any -- this runs in the browser, whose types are not here
      values.map((value: any) => {
        const { top, height } = value.getBoundingClientRect();
        return `${top} ${height}`;
      })
    );
    assert.equal(new Set(boxes).size, 1, boxes.join(", "));
  },

  "charts stay under the pointer, and only new events are read": async (system) => {
    const { stack } = system;
    const page = await openDashboard(system, stack.supabase.secretKey);
    await page.getByLabel("Show the last").selectOption("7 days");
    await page.getByText("succeeded in the last 7 days").waitFor();
    const picture = () =>
      page.locator("#success canvas").evaluate((canvas) =>
        // deno-lint-ignore no-explicit-any -- this runs in the browser, whose types are not here
        (canvas as any).toDataURL() as string
      );
    const without = await picture();
    await page.locator("#success canvas").hover();
    await until("the tooltip is drawn", async () => await picture() !== without || undefined);
    const hovered = await picture();
    const queries: string[] = [];
    page.on("request", (request) => {
      if (request.url().includes("machine_events")) queries.push(request.url());
    });
    const read = (path: string) =>
      page.waitForResponse((response) => response.url().includes(path));
    for (let refresh = 0; refresh < 2; refresh++) {
      await Promise.all([read("machine_events"), read("/metrics")]);
    }
    assert.equal(await picture(), hovered);
    assert.ok(queries.length >= 2);
    for (const query of queries) assert.match(query, /created_at=gte\./);
  },
});
