/** A conversation with the machine over its WebSocket. */
import { copyButton, fill, h, setText } from "./dom.ts";
import { badge, type Tone } from "./status.ts";

/** So that a machine that talks all night does not fill the tab's memory. */
const MAX_LINES = 500;
const CLOSED_BY_USER = 1000;

export interface Terminal {
  element: HTMLElement;
  /** Ends the connection, for instance because the machine is being destroyed. */
  disconnect(): void;
}

export function terminal(machineId: string, url: string): Terminal {
  let socket: WebSocket | undefined;
  const state = h("div", { role: "status" });
  const toggle = h("button", { type: "button", onclick: () => socket ? disconnect() : connect() });
  const log = h("div", {
    class: "terminal-log",
    role: "log",
    "aria-label": `Messages with ${machineId}`,
    tabindex: 0,
  });
  const input = h("input", {
    id: `message-${machineId}`,
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "hello",
  });
  const send = h("button", { type: "submit" }, "Send");
  const form = h(
    "form",
    { class: "terminal-input" },
    h("label", { for: input.id, class: "visually-hidden" }, "Message to the machine"),
    h("span", { class: "prompt", "aria-hidden": "true" }, "›"),
    input,
    send,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (socket?.readyState !== WebSocket.OPEN || input.value === "") return;
    socket.send(input.value);
    line("sent", input.value);
    input.value = "";
  });

  function line(kind: "sent" | "received" | "note", text: string): void {
    const who = { sent: "You", received: "Machine", note: "Connection" }[kind];
    const mark = { sent: "→", received: "←", note: "·" }[kind];
    log.append(
      h(
        "p",
        { class: kind },
        h("time", {}, new Date().toLocaleTimeString()),
        h("span", { class: "mark", "aria-hidden": "true" }, mark),
        h("span", { class: "visually-hidden" }, `${who}: `),
        h("span", { class: "text" }, text),
      ),
    );
    while (log.childElementCount > MAX_LINES) log.firstElementChild?.remove();
    log.scrollTop = log.scrollHeight;
  }

  function show(tone: Tone, text: string): void {
    fill(state, badge(tone, text));
    setText(toggle, socket ? "Disconnect" : "Connect");
    const open = socket?.readyState === WebSocket.OPEN;
    input.disabled = !open;
    send.disabled = !open;
  }

  function connect(): void {
    const opening = new WebSocket(url);
    let opened = false;
    socket = opening;
    show("busy", "Connecting");
    opening.addEventListener("open", () => {
      opened = true;
      show("good", "Connected");
      line("note", `connected to ${url}`);
      input.focus();
    });
    opening.addEventListener("message", ({ data }) => {
      line("received", typeof data === "string" ? data : `${(data as Blob).size} bytes`);
    });
    opening.addEventListener("close", ({ code, reason }) => {
      if (socket === opening) socket = undefined;
      if (!opened) {
        // The browser tells pages nothing more of a connection that was refused.
        show("bad", "The machine did not accept the connection");
        line("note", "could not connect");
        return;
      }
      show("quiet", "Disconnected");
      line("note", `closed (${code}${reason ? `, ${reason}` : ""})`);
    });
  }

  function disconnect(): void {
    socket?.close(CLOSED_BY_USER, "closed by the user");
  }

  show("quiet", "Not connected");
  return {
    element: h(
      "section",
      { class: "terminal", "aria-label": `WebSocket of ${machineId}` },
      h(
        "header",
        {},
        h("code", { class: "address", title: url }, url),
        copyButton(url, "WebSocket address"),
        state,
        toggle,
      ),
      log,
      form,
    ),
    disconnect,
  };
}
