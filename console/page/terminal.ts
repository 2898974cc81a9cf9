/** A conversation with the machine over its WebSocket. */
import { type Connection, ProvisionMachineError } from "provision-machine-client";
import { badge } from "./badge.ts";
import { copyButton, fill, h, setText } from "./dom.ts";
import { explain } from "./error-sentences.ts";
import { TerminalLog } from "./terminal-log.ts";
import type { Tone } from "./tone.ts";

const CLOSED_BY_USER = 1000;

export class Terminal {
  readonly element: HTMLElement;
  readonly #requestConnection: (signal: AbortSignal) => Promise<Connection>;
  readonly #log: TerminalLog;
  readonly #state = h("div", { role: "status", class: "terminal-state" });
  readonly #toggle: HTMLButtonElement;
  readonly #input: HTMLInputElement;
  readonly #send = h("button", { type: "submit" }, "Send");
  /** While a token is asked for. */
  #asking: AbortController | undefined;
  #socket: WebSocket | undefined;

  /**
   * @param address where the machine listens, as it is shown: without a token
   * @param requestConnection called before each connection; throws ProvisionMachineError
   */
  constructor(
    machineId: string,
    address: string,
    requestConnection: (signal: AbortSignal) => Promise<Connection>,
  ) {
    this.#requestConnection = requestConnection;
    this.#log = new TerminalLog(machineId);
    this.#toggle = h("button", {
      type: "button",
      onclick: () => this.#isBusy() ? this.disconnect() : void this.#connect(),
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
        h("code", { class: "address", title: address }, address),
        copyButton(address, "WebSocket address"),
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
    this.#asking?.abort();
    this.#socket?.close(CLOSED_BY_USER, "closed by the user");
  }

  #isBusy(): boolean {
    return this.#asking !== undefined || this.#socket !== undefined;
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
    setText(this.#toggle, this.#isBusy() ? "Disconnect" : "Connect");
    const open = this.#socket?.readyState === WebSocket.OPEN;
    this.#input.disabled = !open;
    this.#input.placeholder = open ? "Type a message" : "Connect to send a message";
    this.#send.disabled = !open;
  }

  /** A token is valid for a minute, so each connection needs its own. */
  async #connect(): Promise<void> {
    const asking = new AbortController();
    this.#asking = asking;
    this.#show("busy", "Connecting");
    try {
      const connection = await this.#requestConnection(asking.signal);
      this.#asking = undefined;
      if (asking.signal.aborted) this.#show("quiet", "Not connected");
      else this.#open(connection);
    } catch (error) {
      this.#asking = undefined;
      if (asking.signal.aborted) return this.#show("quiet", "Not connected");
      if (!(error instanceof ProvisionMachineError)) throw error;
      this.#show("bad", explain(error.code).sentence);
      const request = error.requestId === null ? "" : ` (request ${error.requestId})`;
      const words = [...new Set([error.message, error.hint])].join(". ");
      this.#log.add("note", `${words}${request}`);
    }
  }

  #open({ url, websocketUrl }: Connection): void {
    const socket = new WebSocket(url);
    let opened = false;
    this.#socket = socket;
    this.#show("busy", "Connecting");
    socket.addEventListener("open", () => {
      opened = true;
      this.#show("good", "Connected");
      this.#log.add("note", `connected to ${websocketUrl}`);
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
