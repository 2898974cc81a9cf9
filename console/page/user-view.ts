/** What a signed-in user sees: the form, the call under way, and their machines. */
import type { SupabaseClient } from "@supabase/supabase-js";
import {
  createProvisionMachineClient,
  type ProvisionMachineClient,
  ProvisionMachineError,
  type ProvisionRequest,
} from "provision-machine-client";
import { buttonState } from "./button-state.ts";
import type { ConsoleConfig } from "./config.ts";
import { ConnectionBadge, isCurrent } from "./connection-badge.ts";
import { fill, h } from "./dom.ts";
import { ErrorPanel } from "./error-panel.ts";
import type { MachineChange } from "./machine-card.ts";
import { MachineLimit } from "./machine-limit.ts";
import { MachineList } from "./machine-list.ts";
import { isLive } from "./machine-status.ts";
import type { MachineRow } from "./machines.ts";
import { Notice } from "./notice.ts";
import { PendingCard } from "./pending-card.ts";
import { ProvisionForm } from "./provision-form.ts";
import { usualDurationMs } from "./usual-duration.ts";
import type { View } from "./view.ts";
import { type Connection, MachineWatcher } from "./watch-machines.ts";

/** One press of the button. A retry after a lost response belongs to the same press. */
interface Intent {
  key: string;
  request: ProvisionRequest;
}

interface CallOptions {
  signal: AbortSignal;
  onRetry: (retry: { attempt: number }) => void;
}

export class UserView implements View {
  readonly element: HTMLElement;
  readonly #client: ProvisionMachineClient;
  readonly #leaving = new AbortController();
  readonly #heading = h("h1", { tabindex: -1 }, "Your machines");
  readonly #connection = new ConnectionBadge();
  readonly #notice = new Notice();
  readonly #pendingSlot = h("div", { class: "pending-slot" });
  readonly #errors: ErrorPanel;
  readonly #form: ProvisionForm;
  readonly #list: MachineList;
  readonly #watcher: MachineWatcher;
  readonly #limit: MachineLimit;
  #pending: PendingCard | undefined;
  /** When the provisioning under way began, in milliseconds since the epoch. */
  #requestedAt: number | null = null;
  /** A `Retry-After` is running. */
  #waiting = false;
  #unanswered: Intent | undefined;

  constructor(supabase: SupabaseClient, config: ConsoleConfig, userId: string) {
    const { supabaseUrl, publishableKey, functionName } = config;
    this.#client = createProvisionMachineClient({
      supabaseUrl,
      publishableKey,
      functionName,
      supabase,
    });
    this.#limit = new MachineLimit(config.machinesPerUser);
    this.#errors = new ErrorPanel((waiting) => this.#setWaiting(waiting));
    this.#form = new ProvisionForm({
      regions: config.regions,
      onSubmit: (request) => void this.#provision(request),
      // The wait is for this region and size: another may have room at once.
      onChange: () => this.#setWaiting(false),
      onMakeRoom: (machineId) => this.#list.askToDestroy(machineId),
      onStart: (machineId) => void this.#change(machineId, "start"),
    });
    this.#list = new MachineList({
      functionName: config.functionName,
      onDestroy: (machineId) => void this.#destroy(machineId),
      onChange: (machineId, change) => void this.#change(machineId, change),
      connect: (machineId, signal) => this.#client.requestConnection(machineId, { signal }),
    });
    this.element = this.#layout();
    this.#watcher = new MachineWatcher({
      client: this.#client,
      userId,
      onMachines: (machines) => this.#showMachines(machines),
      onConnection: (connection, readAt) => this.#showConnection(connection, readAt),
    });
    this.#showButton();
  }

  stop(): void {
    this.#leaving.abort();
    this.#watcher.stop();
    this.#list.close();
    this.#errors.clear();
    this.#notice.clear();
    this.#showPending(undefined);
  }

  #layout(): HTMLElement {
    return h(
      "div",
      { class: "user" },
      h(
        "div",
        { class: "main" },
        h("div", { class: "main-head" }, this.#heading, this.#connection.element),
        this.#notice.element,
        this.#errors.element,
        this.#pendingSlot,
        this.#list.element,
      ),
      h("div", { class: "side" }, this.#form.element),
    );
  }

  #showMachines(machines: MachineRow[]): void {
    this.#list.show(machines, this.#requestedAt);
    const begun = machines.find(({ status }) => status === "provisioning");
    if (begun) this.#showPending(undefined);
    if (begun && this.#requestedAt !== null) {
      this.#notice.busy(`Waiting for ${begun.machine_id} to start …`);
    }
    this.#showButton();
  }

  #showConnection(connection: Connection, readAt: number | null): void {
    this.#connection.show(connection, readAt);
    this.#list.setState(
      isCurrent(connection) ? "current" : connection === "reading" ? "loading" : "unreadable",
    );
  }

  #showPending(card: PendingCard | undefined): void {
    this.#pending?.stop();
    this.#pending = card;
    fill(this.#pendingSlot, card?.element);
  }

  #setWaiting(waiting: boolean): void {
    this.#waiting = waiting;
    this.#showButton();
  }

  #showButton(): void {
    this.#form.setButton(buttonState({
      machines: this.#list.machines,
      limit: this.#limit,
      requested: this.#requestedAt !== null,
      waiting: this.#waiting,
      unanswered: this.#unanswered !== undefined,
    }));
  }

  #showError(error: ProvisionMachineError): void {
    this.#notice.clear();
    this.#errors.show(error);
    const full = error.code === "machine_limit_reached";
    if (full) this.#limit.learn(this.#list.machines.filter(isLive).length);
    // At the limit, the error names a machine that is well.
    this.#list.setExplained(full ? null : error.machineId);
  }

  async #provision(request: ProvisionRequest): Promise<void> {
    // The same key for the same request: another region is another request.
    const intent = this.#unanswered &&
        JSON.stringify(this.#unanswered.request) === JSON.stringify(request)
      ? this.#unanswered
      : { key: crypto.randomUUID(), request };
    this.#unanswered = undefined;
    this.#requestedAt = Date.now();
    this.#notice.busy("Requesting a machine …");
    this.#showPending(new PendingCard(request, usualDurationMs(this.#list.machines)));
    this.#pendingSlot.scrollIntoView({ block: "nearest" });
    this.#showButton();
    await this.#call(async (options) => {
      const { message, machineId } = await this.#client.provision(request, {
        idempotencyKey: intent.key,
        ...options,
      });
      this.#notice.done(`${message}: ${machineId}`);
    }, (error) => {
      if (error.retry === "same_key") this.#unanswered = intent;
    });
    this.#requestedAt = null;
    this.#showPending(undefined);
    this.#showButton();
  }

  async #change(machineId: string, change: MachineChange): Promise<void> {
    this.#list.setChanging(machineId, change);
    await this.#call(async (options) => {
      const { message } = await this.#client[change](machineId, options);
      this.#notice.done(`${message}: ${machineId}`);
    });
    this.#list.setChanging(machineId, null);
  }

  async #destroy(machineId: string): Promise<void> {
    this.#list.setDestroying(machineId, true);
    await this.#call(async (options) => {
      await this.#client.destroy(machineId, options);
      this.#list.markDestroyed(machineId);
      this.#showButton();
      this.#notice.done(`Machine destroyed: ${machineId}`);
      // The button that had the focus is gone.
      if (document.activeElement === document.body) this.#heading.focus();
    });
    this.#list.setDestroying(machineId, false);
  }

  /** Shows the error if `run` fails; reads the rows often meanwhile. */
  async #call(
    run: (options: CallOptions) => Promise<void>,
    onError: (error: ProvisionMachineError) => void = () => {},
  ): Promise<void> {
    const { signal } = this.#leaving;
    this.#errors.clear();
    this.#list.setExplained(null);
    this.#watcher.expectChanges(true);
    const onRetry = ({ attempt }: { attempt: number }) => this.#notice.busy(retryText(attempt));
    try {
      await run({ signal, onRetry });
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ProvisionMachineError)) throw error;
      onError(error);
      this.#showError(error);
    } finally {
      this.#watcher.expectChanges(false);
    }
  }
}

function retryText(attempt: number): string {
  return navigator.onLine
    ? `The response was lost. Asking again with the same key (attempt ${attempt + 1}) …`
    : "You are offline. The same request is sent again as soon as you are back.";
}
