/**
 * `deno task screenshots`: pictures of the console for the README, in docs/images. Everything in them
 * happened on the local stack; only the times of the operator's history are spread over an hour.
 */
import type { BrowserContextOptions, Page } from "playwright-core";
import { ConsoleStack } from "./support/console-stack.ts";
import { fillHistory } from "./support/history.ts";

const LOOKS: Record<string, BrowserContextOptions> = {
  "desktop": { viewport: { width: 1280, height: 800 }, colorScheme: "light" },
  "desktop-dark": { viewport: { width: 1280, height: 800 }, colorScheme: "dark" },
  "phone": { viewport: { width: 390, height: 844 }, colorScheme: "light" },
};
const IMAGES = new URL("../../docs/images/", import.meta.url);
const OUT_OF_CAPACITY = {
  kind: "status",
  status: 422,
  body: { error: "insufficient resources to create new machine in fra" },
} as const;

async function main(): Promise<void> {
  await Deno.mkdir(IMAGES, { recursive: true });
  await using system = await ConsoleStack.start({ env: { MAX_MACHINES: "100" } });
  for (const [look, options] of Object.entries(LOOKS)) await shootUser(system, look, options);
  await fillHistory(system.stack);
  for (const [look, options] of Object.entries(LOOKS)) await shootOperator(system, look, options);
}

async function shoot(page: Page, name: string, fullPage: boolean): Promise<void> {
  const path = new URL(`${name}.png`, IMAGES).pathname;
  await page.screenshot({ path, fullPage, animations: "disabled" });
  await Deno.stdout.write(new TextEncoder().encode(`docs/images/${name}.png\n`));
}

async function shootUser(
  system: ConsoleStack,
  look: string,
  options: BrowserContextOptions,
): Promise<void> {
  const phone = look.startsWith("phone");
  const { page } = await system.open(await system.newContext(options));
  await system.signUp(page, `ada-${crypto.randomUUID().slice(0, 4)}@example.com`);
  const provision = page.getByRole("button", { name: "Provision", exact: true });

  system.stack.simulator.addFault({ match: { action: "create" }, do: OUT_OF_CAPACITY });
  await page.getByLabel("Region").selectOption("fra");
  await provision.click();
  await page.getByRole("timer").waitFor();
  await page.locator(".step.failed").waitFor();
  if (look === "desktop") await shoot(page, `error-${look}`, phone);

  system.stack.simulator.addFault({
    match: { action: "create" },
    do: { kind: "slow-start", ms: 2_600 },
  });
  await page.getByLabel("Region").selectOption("ams");
  await provision.click();
  await page.getByText("Created: done").waitFor();
  await page.getByText(/^[1-9] s · usually/).waitFor();
  if (look === "desktop") await shoot(page, `provisioning-${look}`, phone);

  await page.getByRole("button", { name: "Connect" }).click();
  await page.getByText("Connected", { exact: true }).waitFor();
  await page.getByLabel("Message to the machine").fill('{"id":"1","text":"hello, machine"}');
  await page.keyboard.press("Enter");
  await page.getByText('"echo"').waitFor();
  await page.getByRole("heading", { name: "Your machines" }).click();
  await shoot(page, `console-${look}`, phone);
  // All machines of the local stack share an app, and a connection reaches any of them.
  await page.getByRole("button", { name: "Destroy", exact: true }).click();
  await page.getByRole("button", { name: "Destroy it" }).click();
  await page.locator(".machine[data-status=destroyed]").waitFor();
  await system.closeTabs();
}

async function shootOperator(
  system: ConsoleStack,
  look: string,
  options: BrowserContextOptions,
): Promise<void> {
  const { page } = await system.open(await system.newContext(options), "#operator");
  await page.getByLabel("Service key").fill(system.stack.supabase.secretKey);
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByText("attempts succeeded").waitFor();
  await page.locator(".checks li").first().waitFor();
  await page.locator("#machines[data-state=current]").waitFor();
  await page.locator(".machines li").first().waitFor();
  await shoot(page, `operator-${look}`, true);
  await system.closeTabs();
}

await main();
