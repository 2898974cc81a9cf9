/** What a signed-in user sees: the form, the call under way, and their machines. */
import type { SupabaseClient } from "@supabase/supabase-js";
import {
  createProvisionMachineClient,
  type ProvisionMachineClient,
  ProvisionMachineError,
  type ProvisionRequest,
} from "../../client/mod.ts";
import { type ConsoleConfig, functionUrl } from "./config.ts";
import { connectionBadge } from "./connection-badge.ts";
import { fill, h, setText } from "./dom.ts";
import { ErrorPanel } from "./error-panel.ts";
import { MachineList } from "./machine-list.ts";
import { isLive } from "./machine-status.ts";
import type { MachineRow } from "./machines.ts";
import { pendingCard } from "./pending-card.ts";
import { ProvisionForm } from "./provision-form.ts";
import type { View } from "./view.ts";
import { MachineWatcher } from "./watch-machines.ts";

/** One press of the button. A retry after a lost response belongs to the same press. */
interface Intent {
  key: string;
  request: ProvisionRequest;
}

export class UserView implements View {
  readonly element: HTMLElement;
  readonly #client: ProvisionMachineClient;
  readonly #leaving = new AbortController();
  readonly #connection = h("div", { role: "status", class: "connection" });
  readonly #progress = h("div", { role: "status", class: "progress" });
  readonly #pending = h("div", { class: "pending-slot" });
  readonly #errors: ErrorPanel;
  readonly #form: ProvisionForm;
  readonly #list: MachineList;
  readonly #watcher: MachineWatcher;
  #machines: MachineRow[] = [];
  #calling = false;
  /** A `Retry-After` is running. */
  #waiting = false;
  #unanswered: Intent | undefined;

  constructor(supabase: SupabaseClient, config: ConsoleConfig, userId: string) {
    this.#client = createProvisionMachineClient({
      functionUrl: functionUrl(config),
      publishableKey: config.publishableKey,
      getAccessToken: async () => (await supabase.auth.getSession()).data.session?.access_token,
    });
    this.#errors = new ErrorPanel((waiting) => this.#setWaiting(waiting));
    this.#form = new ProvisionForm({
      regions: config.regions,
      onSubmit: (request) => void this.#provision(request),
      // The wait is for this region and size: another may have room at once.
      onChange: () => this.#setWaiting(false),
    });
    this.#list = new MachineList((machineId) => void this.#destroy(machineId));
    this.element = this.#layout();
    this.#watcher = new MachineWatcher({
      supabase,
      userId,
      onMachines: (machines) => this.#showMachines(machines),
      onConnection: (state) => fill(this.#connection, connectionBadge(state)),
    });
    this.#showButton();
  }

  stop(): void {
    this.#leaving.abort();
    this.#watcher.stop();
    this.#list.close();
    this.#errors.clear();
  }

  #layout(): HTMLElement {
    return h(
      "div",
      { class: "user" },
      h("div", { class: "side" }, this.#form.element),
      h(
        "div",
        { class: "main" },
        h("div", { class: "main-head" }, h("h1", {}, "Your machines"), this.#connection),
        this.#progress,
        this.#errors.element,
        this.#pending,
        this.#list.element,
      ),
    );
  }

  #showMachines(machines: MachineRow[]): void {
    this.#machines = machines;
    this.#list.show(machines);
    const begun = machines.find(({ status }) => status === "provisioning");
    if (begun) fill(this.#pending);
    if (begun && this.#calling) {
      setText(this.#progress, `Waiting for ${begun.machine_id} to start …`);
    }
    this.#showButton();
  }

  #setWaiting(waiting: boolean): void {
    this.#waiting = waiting;
    this.#showButton();
  }

  #showButton(): void {
    this.#form.setButton({
      text: this.#calling ? "Provisioning …" : this.#unanswered ? "Try again" : "Provision",
      disabled: this.#calling || this.#waiting,
      reason: this.#reason(),
    });
  }

  #reason(): string {
    if (!this.#calling && this.#machines.some(isLive)) {
      return "You have a machine already. Whether you may have another depends on your limit.";
    }
    return this.#waiting ? "Wait until the countdown ends, or ask for something else." : "";
  }

  #showError(error: ProvisionMachineError): void {
    setText(this.#progress, "");
    this.#errors.show(error);
    // At the limit, the error names a machine that is well.
    this.#list.setExplained(error.code === "machine_limit_reached" ? null : error.machineId);
  }

  #clearError(): void {
    this.#errors.clear();
    this.#list.setExplained(null);
  }

  async #provision(request: ProvisionRequest): Promise<void> {
    // The same key for the same request: another region is another request.
    const intent = this.#unanswered &&
        JSON.stringify(this.#unanswered.request) === JSON.stringify(request)
      ? this.#unanswered
      : { key: crypto.randomUUID(), request };
    this.#unanswered = undefined;
    this.#calling = true;
    setText(this.#progress, "Requesting a machine …");
    fill(this.#pending, pendingCard(request));
    await this.#call(async (options) => {
      const { message, machineId } = await this.#client.provision(request, {
        idempotencyKey: intent.key,
        ...options,
      });
      return `${message}: ${machineId}`;
    }, (error) => {
      if (error.outcomeUnknown) this.#unanswered = intent;
    });
    this.#calling = false;
    fill(this.#pending);
    this.#showButton();
  }

  async #destroy(machineId: string): Promise<void> {
    this.#list.setDestroying(machineId, true);
    await this.#call(async (options) => {
      await this.#client.destroy(machineId, options);
      return `Machine destroyed: ${machineId}`;
    });
    this.#list.setDestroying(machineId, false);
  }

  /** Shows what `run` says on success, and its error otherwise; reads the rows often meanwhile. */
  async #call(
    run: (
      options: { signal: AbortSignal; onRetry: (retry: { attempt: number }) => void },
    ) => Promise<string>,
    onError: (error: ProvisionMachineError) => void = () => {},
  ): Promise<void> {
    const { signal } = this.#leaving;
    this.#clearError();
    this.#showButton();
    this.#pending.scrollIntoView({ block: "nearest" });
    this.#watcher.expectChanges(true);
    const onRetry = ({ attempt }: { attempt: number }) =>
      setText(this.#progress, retryText(attempt));
    try {
      setText(this.#progress, await run({ signal, onRetry }));
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
