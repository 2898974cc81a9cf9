/** Signs in, or creates an account, with supabase-js. */
import type { SupabaseClient } from "@supabase/supabase-js";
import { authErrorInWords, type AuthFailure } from "./auth-errors.ts";
import { badge } from "./badge.ts";
import { fill, h } from "./dom.ts";

type Mode = "sign-in" | "sign-up";
const WORDS: Record<Mode, { action: string; autocomplete: string }> = {
  "sign-in": { action: "Sign in", autocomplete: "current-password" },
  "sign-up": { action: "Create account", autocomplete: "new-password" },
};

/** The session itself reaches the page through `onAuthStateChange`. */
export function signInView(supabase: SupabaseClient): HTMLElement {
  return h(
    "section",
    { class: "welcome", "aria-labelledby": "welcome-title" },
    pitch(),
    new SignInForm(supabase).element,
  );
}

function pitch(): HTMLElement {
  return h(
    "div",
    { class: "pitch" },
    h("h1", { id: "welcome-title", tabindex: -1 }, "A cloud machine of your own, one press away."),
    h(
      "p",
      { class: "lead" },
      "Choose where it runs and how strong it is, watch it start, and talk to it over a WebSocket.",
    ),
    h(
      "ul",
      { class: "promises" },
      h("li", {}, badge("good", "Pressing twice makes one machine")),
      h("li", {}, badge("good", "Every failure says why, and what to do")),
      h("li", {}, badge("good", "Every machine you have is listed")),
    ),
  );
}

class SignInForm {
  readonly element: HTMLFormElement;
  readonly #supabase: SupabaseClient;
  readonly #email = h("input", {
    id: "email",
    name: "email",
    type: "email",
    autocomplete: "username",
    required: true,
    "aria-describedby": "sign-in-answer",
  });
  readonly #password = h("input", {
    id: "password",
    name: "password",
    type: "password",
    required: true,
    minlength: 6,
    "aria-describedby": "sign-in-answer",
  });
  readonly #submit = h("button", { type: "submit", class: "primary" });
  readonly #link = h(
    "button",
    { type: "button", onclick: () => void this.#sendLink() },
    "Email me a sign-in link",
  );
  readonly #answer = h("div", { id: "sign-in-answer", role: "alert" });
  #mode: Mode = "sign-in";

  constructor(supabase: SupabaseClient) {
    this.#supabase = supabase;
    this.element = h(
      "form",
      { class: "card sign-in", onsubmit: (event) => void this.#send(event) },
      h(
        "fieldset",
        { class: "segmented" },
        h("legend", { class: "visually-hidden" }, "What do you want to do?"),
        ...this.#choice("sign-in"),
        ...this.#choice("sign-up"),
      ),
      h("label", { for: "email" }, "Email"),
      this.#email,
      h("label", { for: "password" }, "Password"),
      this.#password,
      this.#submit,
      this.#link,
      this.#answer,
    );
    this.#choose("sign-in");
  }

  #choice(mode: Mode): HTMLElement[] {
    const id = `mode-${mode}`;
    const checked = mode === this.#mode;
    const input = h("input", { type: "radio", name: "mode", value: mode, id, checked });
    input.addEventListener("change", () => this.#choose(mode));
    return [input, h("label", { for: id }, WORDS[mode].action)];
  }

  #choose(mode: Mode): void {
    this.#mode = mode;
    this.#submit.textContent = WORDS[mode].action;
    this.#link.hidden = mode !== "sign-in";
    this.#password.setAttribute("autocomplete", WORDS[mode].autocomplete);
    fill(this.#answer);
  }

  /** For those who have no password, or no longer know it. */
  async #sendLink(): Promise<void> {
    if (this.#submit.disabled || !this.#email.reportValidity()) return;
    this.#submit.disabled = true;
    fill(this.#answer);
    const { error } = await this.#supabase.auth.signInWithOtp({
      email: this.#email.value,
      options: { shouldCreateUser: false, emailRedirectTo: location.origin + location.pathname },
    });
    this.#submit.disabled = false;
    fill(this.#answer, error ? failed(error) : openTheLink());
  }

  async #send(event: Event): Promise<void> {
    event.preventDefault();
    if (this.#submit.disabled) return;
    this.#submit.disabled = true;
    fill(this.#answer);
    const { auth } = this.#supabase;
    const credentials = { email: this.#email.value, password: this.#password.value };
    const { data, error } = this.#mode === "sign-in"
      ? await auth.signInWithPassword(credentials)
      : await auth.signUp(credentials);
    this.#submit.disabled = false;
    if (error) fill(this.#answer, failed(error));
    else if (!data.session) fill(this.#answer, openTheLink());
  }
}

function failed(error: AuthFailure): HTMLElement {
  return h("p", { class: "panel error" }, badge("bad", authErrorInWords(error)));
}

function openTheLink(): HTMLElement {
  const sent = badge("busy", "Open the link in the email that was sent to you.");
  return h("p", { class: "panel" }, sent);
}
