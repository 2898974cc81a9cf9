/** The React hook in Chromium, against the whole stack. */
import assert from "node:assert/strict";
import { bundleForBrowsers } from "../../dev/bundle.ts";
import { consoleTest } from "./support/console-test.ts";
import { serveScript } from "./support/serve-script.ts";

const ENTRY = new URL("../client/apps/hook-page.js", import.meta.url);

await consoleTest("useMachine", {}, {
  "knows the machine, and makes no second one while an outcome is unknown": async (system) => {
    const { supabase } = system.stack;
    const scripts = await bundleForBrowsers([ENTRY]);
    await using site = serveScript(scripts.get("hook-page.js"));
    const user = await supabase.createUser();
    const page = await (await system.newContext()).newPage();
    const problems: string[] = [];
    page.on("pageerror", ({ message }) => problems.push(message));
    const given = {
      supabaseUrl: supabase.url,
      publishableKey: supabase.publishableKey,
      token: user.accessToken,
    };
    await page.goto(`${site.url}?${new URLSearchParams(given)}`);
    const shows = (id: string, text: string) =>
      page.locator(`#${id}`).getByText(text, { exact: true }).waitFor();
    const press = (name: string) => page.getByRole("button", { name, exact: true }).click();

    await shows("machines", "0 machines");
    await shows("state", "polling");
    await press("stop");
    await shows("error", "not_found");

    supabase.addFault({
      match: { service: "functions", method: "POST" },
      do: { kind: "reset", when: "after" },
    });
    await press("provision");
    await shows("error", "network_error");
    await press("provision");
    await shows("error", "fine");
    await shows("machine", "running");
    assert.equal((await system.stack.rowsOf(user)).length, 1);

    await press("provision");
    await shows("error", "machine_limit_reached");
    for (const [action, status] of [["stop", "stopped"], ["start", "running"]] as const) {
      await press(action);
      await shows("machine", status);
      await shows("pending", "idle");
    }
    await press("destroy");
    await shows("machine", "none");
    await shows("machines", "1 machines");
    assert.deepEqual(problems, []);
  },
});
