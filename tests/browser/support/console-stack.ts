/**
 * The whole system with the console in front of it: Supabase, the Fly simulator, its machines'
 * WebSockets, the function as a process, the console's server, and Chromium.
 */
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { serveConsole, type ServedConsole } from "../../../console/serve.ts";
import {
  PROMPT_PROXY_SETTINGS,
  type ServedFlyProxy,
  serveFlyProxy,
} from "../../../dev/stack/fly/mod.ts";
import { FLY_APP, type Stack, type StackOptions, startStack } from "../../support/stack.ts";
import { isSummary } from "../../invariants/log-events.ts";
import { until } from "../../support/until.ts";
import { findChromium, launchChromium, NO_CHROMIUM } from "./chromium.ts";

export const PASSWORD = "correct horse battery";

export interface ConsoleStackOptions extends StackOptions {
  /** Fields of config.json beside the addresses. */
  config?: { operatorUrl?: string; regions?: string[] };
}

/** A tab, and what went wrong in it unexpectedly. */
export interface Tab {
  page: Page;
  /** Errors of scripts, violations of the policy, requests to other origins. */
  problems: string[];
}

export class ConsoleStack implements AsyncDisposable {
  readonly #contexts = new Set<BrowserContext>();
  #changed = false;

  private constructor(
    readonly stack: Stack,
    readonly proxy: ServedFlyProxy,
    readonly console: ServedConsole,
    readonly browser: Browser,
  ) {}

  static async start(options: ConsoleStackOptions = {}): Promise<ConsoleStack> {
    const executable = await findChromium(Deno.env.toObject());
    if (executable === null) throw new Error(NO_CHROMIUM);
    const stack = await startStack(options);
    const proxy = await serveFlyProxy(stack.simulator, {
      publicApps: [FLY_APP],
      settings: PROMPT_PROXY_SETTINGS,
    });
    const page = await serveConsole({
      config: {
        supabaseUrl: stack.supabase.url,
        publishableKey: stack.supabase.publishableKey,
        machineOrigins: [`ws://127.0.0.1:${proxy.port}`],
        ...options.config,
      },
    });
    const started = new ConsoleStack(stack, proxy, page, await launchChromium(executable));
    await started.restart();
    return started;
  }

  /** Restarts the function with its usual environment, changed by `env`. */
  async restart(env: Record<string, string | undefined> = {}): Promise<void> {
    this.#changed = Object.keys(env).length > 0;
    await this.stack.restart({
      WEBSOCKET_URL_TEMPLATE: this.proxy.websocketUrlTemplate,
      ...env,
    });
  }

  /** A browser profile of its own: another person. */
  async newContext(options: BrowserContextOptions = {}): Promise<BrowserContext> {
    const context = await this.browser.newContext({ locale: "en-GB", ...options });
    context.setDefaultTimeout(15_000);
    this.#contexts.add(context);
    return context;
  }

  /** A tab on the console; in a new profile unless one is given. */
  async open(context?: BrowserContext, hash = ""): Promise<Tab> {
    const page = await (context ?? await this.newContext()).newPage();
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(`script error: ${error.message}`));
    page.on("console", (message) => {
      if (/content security policy|trusted/i.test(message.text())) problems.push(message.text());
    });
    const known = [this.console.url, this.stack.supabase.url, this.proxy.url];
    page.on("request", (request) => {
      if (!known.some((origin) => request.url().startsWith(origin))) {
        problems.push(`request to another origin: ${request.url()}`);
      }
    });
    await page.goto(this.console.url + hash);
    return { page, problems };
  }

  /** Creates an account on the page, as a user would. */
  async signUp(page: Page, email = `user-${crypto.randomUUID()}@example.com`): Promise<string> {
    await page.getByText("Create account", { exact: true }).first().click();
    await page.getByLabel("Email").fill(email);
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Create account" }).click();
    await page.getByRole("button", { name: "Provision", exact: true }).waitFor();
    return email;
  }

  /** Pictures of every open tab, in the system's temporary directory. @returns their paths */
  async takePictures(): Promise<string[]> {
    const directory = await Deno.makeTempDir({ prefix: "console-test-" });
    const pages = [...this.#contexts].flatMap((context) => context.pages());
    return await Promise.all(pages.map(async (page, index) => {
      const path = `${directory}/tab-${index + 1}.png`;
      await page.screenshot({ path, fullPage: true });
      return path;
    }));
  }

  /** Closes every profile. */
  async closeTabs(): Promise<void> {
    for (const context of this.#contexts) await context.close();
    this.#contexts.clear();
  }

  /** As before the test: no tabs, no faults, the usual environment. */
  async reset(): Promise<void> {
    await this.closeTabs();
    this.stack.simulator.clearFaults();
    this.stack.supabase.clearFaults();
    await this.#finishRequests();
    await this.#destroyMachines();
    this.stack.supabase.clearRequests();
    if (this.#changed) await this.restart();
    this.#changed = false;
  }

  /** All machines share an app, so a connection would lead to any of those that were left. */
  async #destroyMachines(): Promise<void> {
    const rows = await this.stack.supabase.sql<{ machine_id: string }>(
      "select machine_id from cloud_machines where status in ('running', 'stopped')",
    );
    await Promise.all(rows.map(async ({ machine_id }) => {
      const path = `/${machine_id}`;
      const { status, body } = await this.stack.callAsService({ method: "DELETE", path });
      if (status !== 200) throw new Error(`${machine_id} is left: ${JSON.stringify(body)}`);
    }));
  }

  /** A request of a closed tab goes on, and a restart would cut it off. */
  async #finishRequests(): Promise<void> {
    const { fn } = this.stack;
    // Goes the way of the operator's requests, so that those before it have reached the function.
    const path = "operator/functions/v1/provision-machine/health";
    await (await fetch(this.console.url + path)).body?.cancel();
    await until("every request is finished", () => {
      const events = fn.events();
      const finished = new Set(events.filter(isSummary).map(({ requestId }) => requestId));
      // A line of the isolate, such as its count of refusals, belongs to no request.
      return events.every(({ requestId }) => !requestId || finished.has(requestId));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.browser.close();
    await this.console.close();
    await this.proxy.shutdown();
    await this.stack[Symbol.asyncDispose]();
  }
}
