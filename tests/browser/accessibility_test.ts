/** The page for people with low vision, no vision, other colours, or a small screen. */
import assert from "node:assert/strict";
import type { BrowserContextOptions } from "playwright-core";
import { consoleTest } from "./support/console-test.ts";
import { problemsOf } from "./support/accessibility.ts";
import type { ConsoleStack } from "./support/console-stack.ts";
import { fillHistory } from "./support/history.ts";

const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 360, height: 740 };
async function checkUser(system: ConsoleStack, options: BrowserContextOptions): Promise<void> {
  const { page } = await system.open(await system.newContext(options));
  const check = async (where: string) => assert.deepEqual(await problemsOf(page), [], where);
  await page.getByLabel("Email").waitFor();
  await check("sign in");
  await system.signUp(page);
  await page.getByText("No machine yet").waitFor();
  await check("no machine");

  system.stack.simulator.setCapacity("fra", false);
  await page.getByLabel("Region").selectOption("fra");
  await page.getByRole("button", { name: "Provision", exact: true }).click();
  await page.getByRole("timer").waitFor();
  await page.locator(".step.failed").waitFor();
  await check("an error");
  system.stack.simulator.setCapacity("fra", true);

  const { promise: checked, resolve: goOn } = Promise.withResolvers<void>();
  await page.route("**/functions/v1/provision-machine", async (route) => {
    await checked;
    await route.continue();
  });
  await page.getByLabel("Region").selectOption("ams");
  await page.getByRole("button", { name: "Provision", exact: true }).click();
  await page.getByRole("article", { name: "Requested machine" }).waitFor();
  await check("a requested machine");
  goOn();
  await page.locator(".machine[data-status=running]").waitFor();
  await page.getByRole("button", { name: "Connect" }).click();
  await page.getByText("Connected", { exact: true }).waitFor();
  await page.getByText('"machineId": ').waitFor();
  await page.getByText("Earlier machines").click();
  await check("a machine with its terminal");
  await page.getByRole("button", { name: "Provision another" }).click();
  await page.getByText("You have reached your limit of 1 machine.").waitFor();
  await check("the limit");
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  // The stopped one can be started in place of another.
  await page.getByRole("button", { name: /^Start machine-/ }).waitFor();
  await check("the limit, with a stopped machine");
  await page.getByRole("button", { name: /^Start machine-/ }).click();
  await page.locator(".machine[data-status=running]").waitFor();
  await page.getByText("Connect from your code").click();
  await check("code to connect");
  await page.getByRole("button", { name: "Destroy", exact: true }).click();
  await check("the question whether to destroy");
  await page.getByRole("button", { name: "Destroy it" }).click();
  await page.locator(".notice.good").waitFor();
  await check("a destroyed machine");

  await page.route("**/rest/v1/cloud_machines**", (route) => route.abort());
  await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
  await page.locator("[data-stale]").waitFor();
  await check("stale");
  await page.reload();
  await page.getByText("Your machines are not known").waitFor();
  await check("unknown");
}

async function checkOperator(system: ConsoleStack, options: BrowserContextOptions): Promise<void> {
  const { page } = await system.open(await system.newContext(options), "#operator");
  await page.getByLabel("Service key").waitFor();
  assert.deepEqual(await problemsOf(page), [], "key form");
  await page.getByLabel("Service key").fill(system.stack.supabase.secretKey);
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByText("attempts succeeded").waitFor();
  await page.getByRole("button", { name: "Reconcile now" }).click();
  await page.getByText("Everything was in order").waitFor();
  for (const details of await page.locator("details summary").all()) await details.click();
  assert.deepEqual(await problemsOf(page), [], "dashboard");
  await page.locator(".machines").getByRole("button", { name: "user" }).first().click();
  await page.getByText("1 machine and ").waitFor();
  assert.deepEqual(await problemsOf(page), [], "found");
  await page.locator(".found").getByRole("button", { name: "Destroy" }).click();
  assert.deepEqual(await problemsOf(page), [], "the question whether to destroy");
  await page.getByRole("button", { name: "Keep it" }).click();
}

await consoleTest("accessibility", {}, {
  "of the user's pages, light": (system) =>
    checkUser(system, { viewport: DESKTOP, colorScheme: "light" }),
  "of the user's pages, dark, on a phone": (system) =>
    checkUser(system, { viewport: PHONE, colorScheme: "dark" }),
  "of the operator's pages, light and dark, desktop and phone": async (system) => {
    await fillHistory(system.stack, 8);
    await checkOperator(system, { viewport: DESKTOP, colorScheme: "dark" });
    await checkOperator(system, { viewport: PHONE, colorScheme: "light" });
  },

  "every picture has a name, a sentence and a table": async (system) => {
    await system.stack.call(await system.stack.supabase.createUser(), { body: {} });
    const { page } = await system.open(undefined, "#operator");
    await page.getByLabel("Service key").fill(system.stack.supabase.secretKey);
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByText("attempts succeeded").waitFor();
    for (
      const title of [
        "Success rate",
        "How long it takes",
        "Failures by code",
        "Live machines by region",
      ]
    ) {
      const figure = page.getByRole("figure", { name: title });
      // The name that a screen reader says is the title and what the chart shows.
      await figure.getByRole("img", { name: new RegExp(`^${title} \\S.+\\.$`) }).waitFor();
      await figure.getByText("As a table").click();
      assert.ok(await figure.getByRole("row").count() > 1, title);
    }
  },

  "shapes stay when colours go": async (system) => {
    // Failures are hatched and successes are not: with all colour taken away they still differ.
    const { page } = await system.open(undefined, "#operator");
    await page.getByLabel("Service key").fill(system.stack.supabase.secretKey);
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByText("attempts succeeded").waitFor();
    const backgrounds = await page.locator("#machines .swatch, #failures .swatch, #success .swatch")
      .evaluateAll((swatches) =>
        // deno-lint-ignore no-explicit-any -- this runs in the browser, whose types are not here
        swatches.map((swatch) => (globalThis as any).getComputedStyle(swatch).backgroundImage)
      );
    const kinds = backgrounds.map((image: string) => image.split("(")[0]);
    // succeeded, failed; running, provisioning, stopped
    const hatch = "repeating-linear-gradient";
    assert.deepEqual(kinds, ["none", hatch, "none", "radial-gradient", hatch]);
    const shapes = await page.locator(".badge.good path, .badge.quiet path, .badge.busy path")
      .evaluateAll((paths) => paths.map((path) => path.getAttribute("d")));
    assert.ok(new Set(shapes).size >= 2, "another tone is another shape");
  },
});
