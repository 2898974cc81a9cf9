/** The whole path of a user whose machine has an app of its own, in a real browser. */
import assert from "node:assert/strict";
import { until } from "../support/until.ts";
import { deployRouter, ORGANIZATION, ROUTER_APP } from "../support/operator-apps.ts";
import type { ConsoleStack } from "./support/console-stack.ts";
import { consoleTest } from "./support/console-test.ts";

/** Signs up, provisions, connects, is echoed, destroys. @returns where the page connected to */
async function wholePath(system: ConsoleStack): Promise<string> {
  const { stack } = system;
  const { page, problems } = await system.open();
  const connections: string[] = [];
  page.on("websocket", (socket) => {
    const { searchParams, origin, pathname } = new URL(socket.url());
    if (searchParams.has("token")) connections.push(origin + pathname);
  });
  await system.signUp(page);
  await page.getByRole("button", { name: "Provision", exact: true }).click();
  await page.locator(".machine[data-status=running]").waitFor();
  const machineId = await page.locator(".machine > header h2").innerText();
  const row = await stack.row(machineId);
  assert.equal(row.fly_app_name, machineId);

  await page.getByRole("button", { name: "Connect" }).click();
  await page.getByText("Connected", { exact: true }).waitFor();
  const log = page.getByRole("log");
  await log.getByText(`"machineId": "${machineId}", "userId": "${row.user_id}"`).waitFor();
  await page.getByLabel("Message to the machine").fill('{"id":"1","text":"is it you?"}');
  await page.getByRole("button", { name: "Send" }).click();
  await log.getByText('{ "echo": "is it you?", "id": "1" }').waitFor();
  await log.getByText('{ "ack": "1" }').waitFor();

  await page.getByRole("button", { name: "Destroy", exact: true }).click();
  await page.getByRole("button", { name: "Destroy it" }).click();
  await page.locator(".machine[data-status=destroyed]").waitFor();
  assert.equal((await stack.row(machineId)).status, "destroyed");
  await until("the app is gone", () => stack.simulator.world.app(machineId) === undefined);
  assert.deepEqual(problems, []);
  assert.equal(connections.length, 1, connections.join());
  return connections[0]?.replaceAll(machineId, "{app}") ?? "";
}

await consoleTest("an app for each machine", { env: { FLY_ORG_SLUG: ORGANIZATION } }, {
  "a user reaches the machine at its own address": async (system) => {
    const template = system.proxy.address("{app}").replace(/^http/, "ws");
    await system.restart({ WEBSOCKET_URL_TEMPLATE: template });
    assert.equal(await wholePath(system), template);
  },

  "a user reaches the machine through the router": async (system) => {
    await deployRouter(system.stack);
    const router = system.proxy.address(ROUTER_APP).replace(/^http/, "ws");
    await system.restart({ FLY_ROUTER_URL: router });
    assert.equal(await wholePath(system), `${router}/{app}`);
    assert.deepEqual(system.proxy.log, [], "what Fly Proxy could not pass on");
  },
});
