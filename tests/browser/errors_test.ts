/** What a user sees when something fails, with the failure caused for real behind the page. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { ASK_AGAIN, EXPLANATIONS } from "../../console/page/error-sentences.ts";
import type { ConsoleStack } from "./support/console-stack.ts";
import { consoleTest } from "./support/console-test.ts";

async function signedIn(system: ConsoleStack): Promise<Page> {
  const { page } = await system.open();
  await system.signUp(page);
  return page;
}

async function provision(page: Page): Promise<void> {
  await page.getByRole("button", { name: /^(Provision|Provision another|Try again)$/ }).click();
}

/** The error on the page, and that it says what the code means and which request it was. */
async function expectError(page: Page, code: keyof typeof EXPLANATIONS): Promise<string> {
  const alert = page.getByRole("alert");
  await alert.getByText(EXPLANATIONS[code].sentence).waitFor();
  await alert.getByText(EXPLANATIONS[code].next).waitFor();
  assert.equal(await alert.locator("dd code").first().innerText(), code);
  return await alert.locator("dd code").nth(1).innerText();
}

await consoleTest("errors", { env: { PROVISION_TIMEOUT_SECONDS: "4" } }, {
  "token missing on the server: says so, with the request id to copy": async (system) => {
    await system.restart({ FLY_API_TOKEN: undefined });
    const context = await system.newContext({ permissions: ["clipboard-read", "clipboard-write"] });
    const { page } = await system.open(context);
    await system.signUp(page);
    const answered = page.waitForResponse((response) =>
      response.request().method() === "POST" &&
      response.url().endsWith("/provision-machine")
    );
    await provision(page);
    const response = await answered;
    assert.equal(response.status(), 500);
    const requestId = await expectError(page, "configuration_error");
    assert.equal(requestId, response.headers()["x-request-id"]);
    await page.getByRole("alert").getByText(
      "FLY_API_TOKEN not configured - cannot provision Fly.io machine",
    ).waitFor();
    await page.getByRole("alert").getByRole("button", { name: "Copy request id" }).click();
    await page.getByText("Copied").waitFor();
    assert.equal(await page.evaluate("navigator.clipboard.readText()"), requestId);
    // The row says the same, but the page shows it once.
    await page.locator(".machine[data-status=error]").waitFor();
    assert.equal(
      await page.getByText(EXPLANATIONS.configuration_error.sentence)
        .filter({ visible: true }).count(),
      1,
    );
    await page.reload();
    await page.locator(".machine").getByText(EXPLANATIONS.configuration_error.sentence).waitFor();
  },

  "no capacity: counts Retry-After down, and lets another region be tried": async (system) => {
    const page = await signedIn(system);
    system.stack.simulator.setCapacity("fra", false);
    await page.getByLabel("Region").selectOption("fra");
    await page.clock.install();
    await provision(page);
    await expectError(page, "fly_capacity");
    const timer = page.getByRole("timer");
    const secondsLeft = async () => Number(/(\d+) s/.exec(await timer.innerText())?.[1]);
    const first = await secondsLeft();
    assert.ok(first > 0, "the response said when to try again");
    const button = page.getByRole("button", { name: "Provision", exact: true });
    assert.equal(await button.getAttribute("aria-disabled"), "true");
    await page.clock.runFor(5_000);
    assert.ok(await secondsLeft() <= first - 5);
    await page.clock.runFor(first * 1_000);
    assert.equal(await timer.innerText(), "You can try again now");
    assert.equal(await button.getAttribute("aria-disabled"), null);

    await page.getByLabel("Region").selectOption("ams");
    await provision(page);
    await page.locator(".machine[data-status=running]").waitFor();
    system.stack.simulator.setCapacity("fra", true);
  },

  "the countdown is for one region: another can be tried at once": async (system) => {
    const page = await signedIn(system);
    system.stack.simulator.setCapacity("fra", false);
    await page.getByLabel("Region").selectOption("fra");
    await provision(page);
    await expectError(page, "fly_capacity");
    await page.getByLabel("Region").selectOption("ams");
    await provision(page);
    await page.locator(".machine[data-status=running]").waitFor();
    assert.equal(await page.getByRole("alert").innerText(), "");
    system.stack.simulator.setCapacity("fra", true);
  },

  "the limit: names the machine that is there": async (system) => {
    const page = await signedIn(system);
    await provision(page);
    await page.locator(".machine[data-status=running]").waitFor();
    await provision(page);
    await expectError(page, "machine_limit_reached");
    assert.equal(await page.locator(".machine[data-status=running]").count(), 1);
    // A rule, not a failure; and from now on the button knows it.
    assert.equal(await page.locator(".panel.error").count(), 0);
    await page.getByText("You have reached your limit of 1 machine.").waitFor();
    const button = page.getByRole("button", { name: "Provision", exact: true });
    assert.equal(await button.getAttribute("aria-disabled"), "true");

    await page.getByRole("button", { name: /^Destroy machine-/ }).click();
    await page.getByRole("button", { name: "Destroy it" }).click();
    await page.locator(".machine[data-status=destroyed]").waitFor();
    assert.equal(await button.getAttribute("aria-disabled"), null);
    await provision(page);
    await page.locator(".machine[data-status=running]").waitFor();
  },

  "faults of Fly.io each have their words": async (system) => {
    const { simulator } = system.stack;
    const cases = [
      ["fly_unauthorized", { kind: "status", status: 401, body: { error: "unauthorized" } }],
      ["fly_rejected", { kind: "status", status: 422, body: { error: "invalid image" } }],
      ["machine_failed", { kind: "fails", exitCode: 137 }],
      ["provision_timeout", { kind: "never-starts" }],
    ] as const;
    for (const [code, effect] of cases) {
      const page = await signedIn(system);
      simulator.addFault({ match: { action: "create" }, times: "always", do: effect });
      await provision(page);
      await expectError(page, code);
      await page.locator(".machine[data-status=error]").waitFor();
      simulator.clearFaults();
      await page.context().close();
    }
  },

  "a session that ended asks to sign in again": async (system) => {
    const { page } = await system.open();
    const email = await system.signUp(page);
    // As if the account was deleted elsewhere.
    await system.stack.supabase.sql("delete from auth.users where email = $1", [email]);
    await provision(page);
    await expectError(page, "unauthorized");
  },

  "a response of the gateway instead of the function's": async (system) => {
    const page = await signedIn(system);
    system.stack.supabase.addFault({
      match: { service: "functions", method: "POST" },
      do: {
        kind: "status",
        status: 400,
        body: { message: "strange" },
        headers: { "access-control-allow-origin": "*" },
      },
    });
    await provision(page);
    await page.getByRole("alert").getByText(EXPLANATIONS.unexpected_response.sentence).waitFor();
    // Its outcome is unknown, so the next press continues the same attempt.
    await page.getByRole("button", { name: "Try again" }).click();
    await page.locator(".machine[data-status=running]").waitFor();
  },

  "an outcome that the service does not know: the next press sends the same key": async (
    system,
  ) => {
    const page = await signedIn(system);
    const keys: (string | undefined)[] = [];
    page.on("request", (request) => {
      const isProvision = request.method() === "POST" &&
        request.url().endsWith("/provision-machine");
      if (isProvision) keys.push(request.headers()["idempotency-key"]);
    });
    await page.clock.install();
    const restore = system.stack.supabase.onRequest(({ rpc }) =>
      rpc === "claim_machine" ? { kind: "reset", when: "before" } : undefined
    );
    await provision(page);
    const alert = page.getByRole("alert");
    await alert.getByText(EXPLANATIONS.database_error.sentence).waitFor();
    await alert.getByText(ASK_AGAIN).waitFor();
    restore();
    await page.clock.runFor(10_000);
    await page.getByRole("button", { name: "Try again" }).click();
    await page.locator(".machine[data-status=running]").waitFor();
    assert.equal(keys.length, 2);
    assert.equal(keys[0], keys[1]);
  },
});
