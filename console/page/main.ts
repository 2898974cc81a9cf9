/** The page's entry: reads its configuration, then shows the view for the address and session. */
import { createClient, type Session, type SupabaseClient } from "@supabase/supabase-js";
import { badge } from "./badge.ts";
import { type ConsoleConfig, parseConfig } from "./config.ts";
import { fill, h, setAttribute } from "./dom.ts";
import { signInView } from "./sign-in.ts";
import { UserView } from "./user-view.ts";
import type { View } from "./view.ts";

class Page {
  readonly #main = elementById("main");
  readonly #account = elementById("account");
  readonly #config: ConsoleConfig;
  readonly #supabase: SupabaseClient;
  #session: Session | null = null;
  #shown: { name: string; view: View } | undefined;
  #turns = 0;

  constructor(config: ConsoleConfig) {
    this.#config = config;
    this.#supabase = createClient(config.supabaseUrl, config.publishableKey);
    // The skip link's target is not a view, so it stays out of the address.
    document.querySelector(".skip")?.addEventListener("click", (event) => {
      event.preventDefault();
      this.#main.focus();
    });
    globalThis.addEventListener("hashchange", () => void this.#show().catch(fail));
    this.#supabase.auth.onAuthStateChange((_event, session) => {
      this.#session = session;
      this.#showAccount();
      // Not from inside the callback: supabase-js holds its lock while it runs.
      setTimeout(() => void this.#show().catch(fail), 0);
    });
  }

  /** Makes the view that fits, unless it is there already. */
  async #show(): Promise<void> {
    const operator = location.hash === "#operator";
    for (const link of document.querySelectorAll("nav a")) {
      const current = (link.getAttribute("href") === "#operator") === operator;
      setAttribute(link, "aria-current", current ? "page" : null);
    }
    const name = operator
      ? "operator"
      : this.#session
      ? `user:${this.#session.user.id}`
      : "sign-in";
    if (this.#shown?.name === name) return;
    this.#shown?.view.stop();
    this.#shown = undefined;
    const turn = ++this.#turns;
    const view = await this.#makeView(operator);
    if (turn !== this.#turns) {
      // Another view was requested while this one was loading.
      view.stop();
      return;
    }
    this.#shown = { name, view };
    fill(this.#main, view.element);
    // What had the focus is gone: the new heading has it now. Not when the page has just loaded.
    const heading = this.#main.querySelector<HTMLElement>("h1");
    if (turn > 1 && document.activeElement === document.body) heading?.focus();
    document.title = operator ? "Operator · provision-machine" : "provision-machine";
  }

  async #makeView(operator: boolean): Promise<View> {
    if (operator) {
      // Loaded on demand: users need no charts.
      const { OperatorView } = await import("../operator/operator-view.ts");
      return new OperatorView(this.#config);
    }
    if (this.#session) return new UserView(this.#supabase, this.#config, this.#session.user.id);
    return { element: signInView(this.#supabase), stop: () => {} };
  }

  #showAccount(): void {
    const session = this.#session;
    fill(
      this.#account,
      session && h("span", { class: "email" }, session.user.email ?? session.user.id),
      session &&
        h(
          "button",
          { type: "button", onclick: () => void this.#supabase.auth.signOut() },
          "Sign out",
        ),
    );
  }
}

function elementById(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no element with the id ${id}`);
  return element;
}

async function readConfig(): Promise<ConsoleConfig> {
  const response = await fetch("config.json", { cache: "no-store" });
  if (!response.ok) throw new Error(`config.json could not be read: HTTP ${response.status}`);
  return parseConfig(await response.json());
}

function fail(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  fill(
    elementById("main"),
    h(
      "div",
      { class: "panel error", role: "alert" },
      h("p", { class: "error-title" }, badge("bad", "The console cannot start.")),
      h("p", {}, text),
    ),
  );
}

async function start(): Promise<void> {
  // A static host that does not read `_headers` cannot forbid it, and a `<meta>` policy may not.
  if (globalThis.top !== globalThis.self) {
    throw new Error("It does not run inside another page. Open it in a tab of its own.");
  }
  new Page(await readConfig());
}

start().catch(fail);
