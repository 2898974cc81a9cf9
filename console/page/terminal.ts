/** A conversation with the machine over its WebSocket. */
import { badge } from "./badge.ts";
import { copyButton, fill, h, setText } from "./dom.ts";
import { TerminalLog } from "./terminal-log.ts";
import type { Tone } from "./tone.ts";

const CLOSED_BY_USER = 1000;

export class Terminal {
  readonly element: HTMLElement;
  readonly #url: string;
  readonly #log: TerminalLog;
  readonly #state = h("div", { role: "status", class: "terminal-state" });
  readonly #toggle: HTMLButtonElement;
  readonly #input: HTMLInputElement;
  readonly #send = h("button", { type: "submit" }, "Send");
  #socket: WebSocket | undefined;

  constructor(machineId: string, url: string) {
    this.#url = url;
    this.#log = new TerminalLog(machineId);
    this.#toggle = h("button", {
      type: "button",
      onclick: () => this.#socket ? this.disconnect() : this.#connect(),
    });
    this.#input = h("input", {
      id: `message-${machineId}`,
      autocomplete: "off",
      spellcheck: "false",
    });
    this.element = h(
      "section",
      { class: "terminal", "aria-label": `WebSocket of ${machineId}` },
      h(
        "header",
        {},
        h("code", { class: "address", title: url }, url),
        copyButton(url, "WebSocket address"),
        this.#state,
        this.#toggle,
      ),
      this.#log.element,
      this.#form(),
    );
    this.#show("quiet", "Not connected");
  }

  /** Ends the connection, for instance because the machine is being destroyed. */
  disconnect(): void {
    this.#socket?.close(CLOSED_BY_USER, "closed by the user");
  }

  #form(): HTMLFormElement {
    const form = h(
      "form",
      { class: "terminal-input" },
      h("label", { for: this.#input.id, class: "visually-hidden" }, "Message to the machine"),
      h("span", { class: "prompt", "aria-hidden": "true" }, "›"),
      this.#input,
      this.#send,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#input.value;
      if (this.#socket?.readyState !== WebSocket.OPEN || text === "") return;
      this.#socket.send(text);
      this.#log.add("sent", text);
      this.#input.value = "";
    });
    return form;
  }

  #show(tone: Tone, text: string): void {
    fill(this.#state, badge(tone, text));
    setText(this.#toggle, this.#socket ? "Disconnect" : "Connect");
    const open = this.#socket?.readyState === WebSocket.OPEN;
    this.#input.disabled = !open;
    this.#input.placeholder = open ? "Type a message" : "Connect to send a message";
    this.#send.disabled = !open;
  }

  #connect(): void {
    const socket = new WebSocket(this.#url);
    let opened = false;
    this.#socket = socket;
    this.#show("busy", "Connecting");
    socket.addEventListener("open", () => {
      opened = true;
      this.#show("good", "Connected");
      this.#log.add("note", `connected to ${this.#url}`);
      this.#input.focus();
    });
    socket.addEventListener("message", ({ data }) => {
      this.#log.add("received", typeof data === "string" ? data : `${(data as Blob).size} bytes`);
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (this.#socket === socket) this.#socket = undefined;
      if (!opened) {
        // Browsers give pages no reason for a refused connection.
        this.#show("bad", "The machine did not accept the connection");
        this.#log.add("note", "could not connect");
        return;
      }
      this.#show("quiet", "Disconnected");
      this.#log.add("note", `closed (${code}${reason ? `, ${reason}` : ""})`);
    });
  }
}
