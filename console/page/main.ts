/** The page's entry: reads its configuration, then shows what fits the address and the session. */
import { createClient, type Session } from "@supabase/supabase-js";
import { type ConsoleConfig, parseConfig } from "./config.ts";
import { fill, h, setAttribute } from "./dom.ts";
import { signInView } from "./sign-in.ts";
import { badge } from "./status.ts";
import { userView, type View } from "./user-view.ts";

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

async function start(): Promise<void> {
  const main = elementById("main");
  const account = elementById("account");
  const config = await readConfig();
  const supabase = createClient(config.supabaseUrl, config.publishableKey);
  let session: Session | null = null;
  let shown: { name: string; view: View } | undefined;
  let turns = 0;

  /** Which view there should be, made anew only if it is another one. */
  async function show(): Promise<void> {
    const operator = location.hash === "#operator";
    for (const link of document.querySelectorAll("nav a")) {
      const current = (link.getAttribute("href") === "#operator") === operator;
      setAttribute(link, "aria-current", current ? "page" : null);
    }
    const name = operator ? "operator" : session ? `user:${session.user.id}` : "sign-in";
    if (shown?.name === name) return;
    shown?.view.stop();
    shown = undefined;
    const turn = ++turns;
    const view = await makeView(operator);
    if (turn !== turns) {
      // Something else was asked for while this was loading.
      view.stop();
      return;
    }
    shown = { name, view };
    fill(main, view.element);
    document.title = operator ? "Operator · provision-machine" : "provision-machine";
  }

  async function makeView(operator: boolean): Promise<View> {
    // Charts are of no use to a user, so they are loaded for operators alone.
    if (operator) return (await import("../operator/operator-view.ts")).operatorView(config);
    if (session) return userView(supabase, config, session.user.id);
    return { element: signInView(supabase), stop: () => {} };
  }

  function showAccount(): void {
    fill(
      account,
      session && h("span", { class: "email" }, session.user.email ?? session.user.id),
      session &&
        h("button", { type: "button", onclick: () => void supabase.auth.signOut() }, "Sign out"),
    );
  }

  // Where to skip to is no view, so it stays out of the address.
  document.querySelector(".skip")?.addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  globalThis.addEventListener("hashchange", () => void show().catch(fail));
  supabase.auth.onAuthStateChange((_event, current) => {
    session = current;
    showAccount();
    // Not from inside the callback: supabase-js holds its lock while it runs.
    setTimeout(() => void show().catch(fail), 0);
  });
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

start().catch(fail);
