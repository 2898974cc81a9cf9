/** The whole path of a user, in a real browser. */
import assert from "node:assert/strict";
import { until } from "../support/until.ts";
import { consoleTest } from "./support/console-test.ts";
import { PASSWORD } from "./support/console-stack.ts";

// With a limit of one machine, a second press would be harmless anyway.
const options = {
  fly: { settings: { startDelayMs: 1_500 } },
  env: { MAX_MACHINES_PER_USER: "3" },
};

await consoleTest("user", options, {
  "signs up, provisions with a double click, talks to the machine, destroys it": async (system) => {
    const { stack } = system;
    const { page, problems } = await system.open();
    await system.signUp(page);
    await page.getByLabel("Region").selectOption("fra");
    await page.getByText("High", { exact: true }).click();

    const before = stack.simulator.liveMachines().length;
    await page.getByRole("button", { name: "Provision", exact: true }).dblclick();
    // At once, before there is a response.
    await page.getByRole("article", { name: "Requested machine" }).waitFor();
    await page.locator(".machine[data-status=provisioning]").waitFor();
    await page.locator(".machine[data-status=running]").waitFor();
    const steps = await page.locator(".machine .step").allInnerTexts();
    assert.deepEqual(steps.map((text) => text.split("\n")[0]), [
      "Requested",
      "Created",
      "Running",
    ]);
    assert.equal(await page.locator(".machine .step.done").count(), 3);

    const machineId = await page.locator(".machine > header h2").first().innerText();
    assert.equal(stack.simulator.liveMachines().length, before + 1);
    const row = await stack.row(machineId);
    assert.deepEqual([row.region, row.cpu_priority, row.status], ["fra", "high", "running"]);
    const [{ n } = { n: 0 }] = await stack.supabase.sql<{ n: number }>(
      "select count(*)::integer as n from cloud_machines where user_id = $1",
      [row.user_id],
    );
    assert.equal(n, 1);

    await page.getByRole("button", { name: "Connect" }).click();
    await page.getByText("Connected", { exact: true }).waitFor();
    const message = '{"id":"1","text":"is anyone there?"}';
    await page.getByLabel("Message to the machine").fill(message);
    await page.getByRole("button", { name: "Send" }).click();
    const log = page.getByRole("log");
    await log.getByText(`"machineId": "${machineId}"`).waitFor();
    await log.getByText('{ "echo": "is anyone there?", "id": "1" }').waitFor();

    await page.getByRole("button", { name: "Destroy", exact: true }).click();
    await page.getByRole("button", { name: "Keep it" }).click();
    assert.equal(await page.locator(".machine[data-status=running]").count(), 1);
    await page.getByRole("button", { name: "Destroy", exact: true }).click();
    await page.getByRole("button", { name: "Destroy it" }).click();
    await page.locator(".machine[data-status=destroyed]").waitFor();
    await until("the machine is gone", () => stack.liveMachines(machineId).length === 0);
    assert.equal((await stack.row(machineId)).status, "destroyed");
    assert.deepEqual(problems, []);
  },

  "stops, starts and suspends the machine, and sees why it stopped by itself": async (system) => {
    const { stack } = system;
    const { page, problems } = await system.open();
    await system.signUp(page);
    await page.getByRole("button", { name: "Provision", exact: true }).click();
    const state = (status: string) =>
      page.locator(`.machine[data-status=${status}]`).waitFor({ timeout: 20_000 });
    const press = (name: string) => page.getByRole("button", { name, exact: true }).click();
    await state("running");
    const machineId = await page.locator(".machine > header h2").innerText();
    await press("Stop");
    await state("stopped");
    await page.getByText("It was stopped.").waitFor();
    assert.equal(await page.getByRole("button", { name: "Connect" }).count(), 0);
    // Neither green nor a failure.
    assert.equal(await page.locator(".machine .badge.quiet", { hasText: "stopped" }).count(), 1);
    assert.equal(await page.locator(".machine .timeline").count(), 0);
    await press("Start");
    await state("running");
    await press("Suspend");
    await state("stopped");
    await page.getByText("It is suspended, with its memory.").waitFor();
    await press("Start");
    await state("running");
    await until("the machine is up", () => stack.simulator.machine(machineId)?.state === "started");
    stack.simulator.operator.exit(machineId);
    await stack.ageRows();
    await stack.reconcile();
    await page.reload();
    await state("stopped");
    await page.getByText("Its program ended (exit code 0).").waitFor();
    assert.deepEqual(problems, []);
  },

  "comes back to the machine after a reload, and after signing in again": async (system) => {
    const { page, problems } = await system.open();
    const email = await system.signUp(page);
    await page.getByRole("button", { name: "Provision", exact: true }).click();
    // A reload loses the call that is under way, not the machine.
    await page.locator(".machine[data-status=provisioning]").waitFor();
    await page.reload();
    await page.locator(".machine[data-status=running]").waitFor();
    const machineId = await page.locator(".machine > header h2").innerText();

    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Email").fill(email);
    await page.getByLabel("Password").fill("not this one");
    await page.locator("form").getByRole("button", { name: "Sign in" }).click();
    await page.getByText("No account has this email and password.").waitFor();
    await page.getByLabel("Password").fill(PASSWORD);
    await page.locator("form").getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: machineId }).waitFor();
    assert.deepEqual(problems, []);
  },

  "can do everything with the keyboard": async (system) => {
    const { page } = await system.open();
    await system.signUp(page);
    await page.keyboard.press("Control+Home");
    await page.getByLabel("Region").focus();
    await page.keyboard.type("Tokyo");
    await page.keyboard.press("Tab");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Tab");
    const focused = page.locator(":focus");
    assert.equal(await focused.innerText(), "Provision");
    await page.keyboard.press("Enter");
    await page.locator(".machine[data-status=running]").waitFor();
    // The focus is where it was, so that Tab goes on from there.
    await page.getByRole("button", { name: "Provision another" }).waitFor();
    assert.equal(await focused.innerText(), "Provision another");
    const machineId = await page.locator(".machine > header h2").innerText();
    const row = await system.stack.row(machineId);
    assert.deepEqual([row.region, row.cpu_priority], ["nrt", "low"]);

    await page.getByRole("button", { name: "Connect" }).focus();
    await page.keyboard.press("Enter");
    await page.getByText("Connected", { exact: true }).waitFor();
    await page.keyboard.type('{"id":"1","text":"typed"}');
    await page.keyboard.press("Enter");
    await page.getByText('{ "echo": "typed", "id": "1" }').waitFor();

    await page.getByRole("button", { name: "Destroy", exact: true }).focus();
    await page.keyboard.press("Enter");
    assert.equal(await focused.innerText(), "Keep it");
    await page.keyboard.press("Escape");
    assert.equal(await focused.innerText(), "Destroy");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator(".machine[data-status=destroyed]").waitFor();
    await page.getByRole("heading", { name: "Your machines" }).and(focused).waitFor();
  },

  "asks for a token before each connection, and never shows one": async (system) => {
    const { page, problems } = await system.open();
    await system.signUp(page);
    const tokens: string[] = [];
    let asked = 0;
    page.on("request", (request) => {
      if (request.method() === "POST" && request.url().endsWith("/connect")) asked++;
    });
    page.on("websocket", (socket) => {
      const token = new URL(socket.url()).searchParams.get("token");
      if (token !== null) tokens.push(token);
    });
    await page.getByRole("button", { name: "Provision", exact: true }).click();
    const log = page.getByRole("log");
    for (const n of [1, 2]) {
      await page.getByRole("button", { name: "Connect" }).click();
      await page.getByText("Connected", { exact: true }).waitFor();
      await page.getByRole("button", { name: "Disconnect" }).click();
      await page.getByText("Disconnected", { exact: true }).waitFor();
      assert.equal(await log.getByText("connected to").count(), n);
      assert.deepEqual([asked, tokens.length], [n, n]);
    }
    await page.getByText("Connect from your code").click();
    const machineId = await page.locator(".machine > header h2").innerText();
    await page.locator(".snippet code").getByText(`provision-machine/${machineId}/connect`)
      .waitFor();
    const shown = await page.content();
    for (const token of tokens) assert.ok(!shown.includes(token), "the page shows a token");
    assert.deepEqual(problems, []);
  },

  "says why there is no token": async (system) => {
    await system.restart({ CONNECT_TOKEN_SECRET: undefined });
    const { page } = await system.open();
    await system.signUp(page);
    await page.getByRole("button", { name: "Provision", exact: true }).click();
    await page.getByRole("button", { name: "Connect" }).click();
    await page.getByText("The service is not fully set up.").waitFor();
    await page.getByRole("log").getByText("CONNECT_TOKEN_SECRET not configured").waitFor();
    await page.getByRole("button", { name: "Connect" }).waitFor();
  },

  "signs in with a link from an email, without the password": async (system) => {
    const { page } = await system.open();
    const email = await system.signUp(page);
    await page.getByRole("button", { name: "Sign out" }).click();
    const link = page.getByRole("button", { name: "Email me a sign-in link" });
    await link.click();
    assert.equal(await page.getByText("Open the link in the email").count(), 0, "no address yet");
    await page.getByLabel("Email").fill(email);
    const asked = page.waitForRequest((request) => request.url().includes("/auth/v1/otp"));
    await link.click();
    const { searchParams } = new URL((await asked).url());
    assert.equal(searchParams.get("redirect_to"), system.console.url);
    await page.getByText("Open the link in the email that was sent to you.").waitFor();
  },

  "signing in and out leaves the focus on the new heading": async (system) => {
    const { page } = await system.open();
    const focused = page.locator(":focus");
    await system.signUp(page);
    await page.getByRole("heading", { name: "Your machines" }).and(focused).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "A cloud machine" }).and(focused).waitFor();
  },

  "a destroyed machine is shown as destroyed at once, with nothing left to use": async (system) => {
    const { page } = await system.open();
    await system.signUp(page);
    await page.getByRole("button", { name: "Provision", exact: true }).click();
    await page.locator(".machine[data-status=running]").waitFor();
    await page.getByRole("button", { name: "Connect" }).click();
    await page.getByText("Connected", { exact: true }).waitFor();
    // Without any further read, the page knows from the response alone.
    await page.route("**/rest/v1/cloud_machines**", (route) => route.abort());
    await page.getByRole("button", { name: "Destroy", exact: true }).click();
    await page.getByRole("button", { name: "Destroy it" }).click();
    const card = page.locator(".machine[data-status=destroyed]");
    await card.getByText("This machine no longer exists.").waitFor();
    assert.equal(await card.locator(".status").innerText(), "destroyed");
    for (const gone of [".step", ".terminal", "footer button:visible"]) {
      assert.equal(await card.locator(gone).count(), 0, gone);
    }
    await page.getByText("Machine destroyed: ").waitFor();
  },

  "the seconds are counted, beside what is usual": async (system) => {
    system.stack.simulator.addFault({
      match: { action: "create" },
      times: 2,
      do: { kind: "slow-start", ms: 5_000 },
    });
    const { page } = await system.open();
    await system.signUp(page);
    await page.getByRole("button", { name: "Provision", exact: true }).click();
    const card = page.locator(".machine[data-status=provisioning]");
    await card.getByText("Starting").waitFor();
    await card.getByText(/^[1-9] s · usually a few seconds$/).waitFor();
    await page.locator(".machine[data-status=running]").waitFor();
    assert.equal(await page.locator(".elapsed").count(), 0);

    await page.clock.install();
    await page.getByRole("button", { name: "Provision another" }).click();
    // From the first machine, whose start took 5 s.
    await page.getByText(/^\d+ s · usually [1-9] s$/).waitFor();
    await page.clock.fastForward(20_000);
    await page.getByText(/^2\d s · longer than the usual [1-9] s$/).waitFor();
    await page.locator(".machine[data-status=running]").nth(1).waitFor();
  },

  "good news can be closed, and goes away after a while": async (system) => {
    const { page } = await system.open();
    await system.signUp(page);
    await page.clock.install();
    await page.getByRole("button", { name: "Provision", exact: true }).click();
    const notice = page.locator(".notice.good").getByText("Machine provisioned successfully");
    await notice.waitFor();
    await page.clock.runFor(11_000);
    assert.equal(await notice.count(), 0);
    await page.getByRole("button", { name: "Provision another" }).click();
    await notice.waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    assert.equal(await notice.count(), 0);
  },

  "on a phone the machine comes before the form": async (system) => {
    const context = await system.newContext({ viewport: { width: 360, height: 740 } });
    const { page } = await system.open(context);
    await system.signUp(page);
    await page.getByRole("button", { name: "Provision", exact: true }).click();
    await page.locator(".machine[data-status=running]").waitFor();
    const top = async (selector: string) => (await page.locator(selector).boundingBox())?.y ?? NaN;
    assert.ok(await top(".machine") < 740 / 2, "it starts in the upper half of the first screen");
    assert.ok(await top(".machine") < await top("form.provision"));
  },
});
