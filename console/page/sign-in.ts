/** Sign in, or make an account, with supabase-js. */
import type { SupabaseClient } from "@supabase/supabase-js";
import { fill, h } from "./dom.ts";
import { badge } from "./status.ts";

type Mode = "sign-in" | "sign-up";
const WORDS = {
  "sign-in": { action: "Sign in", autocomplete: "current-password" },
  "sign-up": { action: "Create account", autocomplete: "new-password" },
};

/** The session itself reaches the page through `onAuthStateChange`. */
export function signInView(supabase: SupabaseClient): HTMLElement {
  let mode: Mode = "sign-in";
  const email = h("input", {
    id: "email",
    name: "email",
    type: "email",
    autocomplete: "username",
    required: true,
    "aria-describedby": "sign-in-answer",
  });
  const password = h("input", {
    id: "password",
    name: "password",
    type: "password",
    required: true,
    minlength: 6,
    "aria-describedby": "sign-in-answer",
  });
  const submit = h("button", { type: "submit", class: "primary" });
  const answer = h("div", { id: "sign-in-answer", role: "alert" });
  const choices = (["sign-in", "sign-up"] as const).map((value) => {
    const input = h("input", { type: "radio", name: "mode", value, id: `mode-${value}` });
    input.addEventListener("change", () => choose(value));
    return { value, input, label: h("label", { for: input.id }, WORDS[value].action) };
  });

  function choose(value: Mode): void {
    mode = value;
    submit.textContent = WORDS[mode].action;
    password.setAttribute("autocomplete", WORDS[mode].autocomplete);
    for (const choice of choices) choice.input.checked = choice.value === mode;
    fill(answer);
  }

  async function send(event: Event): Promise<void> {
    event.preventDefault();
    if (submit.disabled) return;
    submit.disabled = true;
    fill(answer);
    const credentials = { email: email.value, password: password.value };
    const { data, error } = mode === "sign-in"
      ? await supabase.auth.signInWithPassword(credentials)
      : await supabase.auth.signUp(credentials);
    submit.disabled = false;
    if (error) {
      fill(answer, h("p", { class: "panel error" }, badge("bad", inWords(error))));
    } else if (!data.session) {
      fill(
        answer,
        h(
          "p",
          { class: "panel" },
          badge("busy", "Open the link in the mail that was sent to you."),
        ),
      );
    }
  }

  choose(mode);
  return h(
    "section",
    { class: "welcome", "aria-labelledby": "welcome-title" },
    h(
      "div",
      { class: "pitch" },
      h("h1", { id: "welcome-title" }, "A cloud machine of your own, one press away."),
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
        h("li", {}, badge("good", "Nothing runs on that you cannot see")),
      ),
    ),
    h(
      "form",
      { class: "card sign-in", onsubmit: (event) => void send(event) },
      h(
        "fieldset",
        { class: "segmented" },
        h("legend", { class: "visually-hidden" }, "What do you want to do?"),
        ...choices.flatMap(({ input, label }) => [input, label]),
      ),
      h("label", { for: "email" }, "Email"),
      email,
      h("label", { for: "password" }, "Password"),
      password,
      submit,
      answer,
    ),
  );
}

function inWords(
  error: { code?: string | undefined; message: string; status?: number | undefined },
): string {
  switch (error.code) {
    case "invalid_credentials":
      return "No account has this email and password.";
    case "user_already_exists":
    case "email_exists":
      return "There is an account with this email: sign in instead.";
    case "weak_password":
      return `This password is too weak. ${error.message}`;
    case "over_request_rate_limit":
    case "over_email_send_rate_limit":
      return "Too many attempts. Wait a minute and try again.";
  }
  // A request that never arrived has no status, or 0.
  return error.status ? error.message : "Supabase could not be reached. Check your connection.";
}
