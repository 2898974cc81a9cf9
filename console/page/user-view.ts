/** What a signed-in user sees: the form, the call under way, and their machines. */
import type { SupabaseClient } from "@supabase/supabase-js";
import {
  createProvisionMachineClient,
  ProvisionMachineError,
  type ProvisionRequest,
} from "../../client/mod.ts";
import { type ConsoleConfig, functionUrl } from "./config.ts";
import { fill, h, setText } from "./dom.ts";
import { errorPanel } from "./error-panel.ts";
import { isLive, type MachineRow } from "./machines.ts";
import { MachineList } from "./machine-list.ts";
import { provisionForm } from "./provision-form.ts";
import { regionName } from "./regions.ts";
import { badge, type Tone } from "./status.ts";
import { stepsOf, timeline } from "./timeline.ts";
import { type Connection, watchMachines } from "./watch-machines.ts";

const CONNECTIONS: Record<Connection, { tone: Tone; text: string }> = {
  connecting: { tone: "busy", text: "Connecting" },
  realtime: { tone: "good", text: "Live over Realtime" },
  polling: { tone: "good", text: "Live by polling" },
  offline: { tone: "warning", text: "Offline: goes on when you are back" },
  failing: { tone: "warning", text: "Supabase does not answer: trying again" },
};

/** What one press of the button wants; a retry after a lost answer is the same press. */
interface Intent {
  key: string;
  request: ProvisionRequest;
}

export interface View {
  element: HTMLElement;
  stop(): void;
}

export function userView(
  supabase: SupabaseClient,
  config: ConsoleConfig,
  userId: string,
): View {
  const client = createProvisionMachineClient({
    functionUrl: functionUrl(config),
    publishableKey: config.publishableKey,
    getAccessToken: async () => (await supabase.auth.getSession()).data.session?.access_token,
  });
  const leaving = new AbortController();
  let machines: MachineRow[] = [];
  let calling = false;
  let waiting = false;
  let unanswered: Intent | undefined;

  const connection = h("div", { role: "status", class: "connection" });
  const progress = h("div", { role: "status", class: "progress" });
  const pending = h("div", { class: "pending-slot" });
  const errors = errorPanel((value) => {
    waiting = value;
    showButton();
  });
  const form = provisionForm(config.regions, (request) => void provision(request), () => {
    // A wait is for what was asked: another region may have room at once.
    waiting = false;
    showButton();
  });
  const list = new MachineList((machineId) => void destroy(machineId));
  const watcher = watchMachines({
    supabase,
    userId,
    onMachines(rows) {
      machines = rows;
      list.show(rows);
      const begun = rows.find(({ status }) => status === "provisioning");
      if (begun) fill(pending);
      if (begun && calling) setText(progress, `Waiting for ${begun.machine_id} to start …`);
      showButton();
    },
    onConnection(state) {
      const { tone, text } = CONNECTIONS[state];
      fill(connection, badge(tone, text));
    },
  });

  function showButton(): void {
    const live = machines.some(isLive);
    form.setButton({
      text: calling ? "Provisioning …" : unanswered ? "Try again" : "Provision",
      disabled: calling || waiting,
      ...(waiting ? { reason: "Wait until the countdown ends, or ask for something else." } : {}),
      ...(live && !calling
        ? {
          reason: "You have a machine already. Whether you may have another depends on your limit.",
        }
        : {}),
    });
  }

  function showError(error: ProvisionMachineError): void {
    setText(progress, "");
    errors.show(error);
    // The limit names a machine that is well.
    list.setExplained(error.code === "machine_limit_reached" ? null : error.machineId);
  }

  function clearError(): void {
    errors.clear();
    list.setExplained(null);
  }

  async function provision(request: ProvisionRequest): Promise<void> {
    // Same key for the same wish: another region is another wish.
    const intent = unanswered && JSON.stringify(unanswered.request) === JSON.stringify(request)
      ? unanswered
      : { key: crypto.randomUUID(), request };
    unanswered = undefined;
    calling = true;
    clearError();
    setText(progress, "Asking for a machine …");
    fill(pending, pendingCard(request));
    // On a phone it is below the form.
    pending.scrollIntoView({ block: "nearest" });
    showButton();
    watcher.expectChanges(true);
    try {
      const machine = await client.provision(request, {
        idempotencyKey: intent.key,
        signal: leaving.signal,
        onRetry: ({ attempt }) => setText(progress, retryText(attempt)),
      });
      setText(progress, `${machine.message}: ${machine.machineId}`);
    } catch (error) {
      if (leaving.signal.aborted) return;
      if (!(error instanceof ProvisionMachineError)) throw error;
      if (error.outcomeUnknown) unanswered = intent;
      showError(error);
    } finally {
      calling = false;
      fill(pending);
      showButton();
      if (!leaving.signal.aborted) watcher.expectChanges(false);
    }
  }

  async function destroy(machineId: string): Promise<void> {
    clearError();
    list.setDestroying(machineId, true);
    watcher.expectChanges(true);
    try {
      await client.destroy(machineId, {
        signal: leaving.signal,
        onRetry: ({ attempt }) => setText(progress, retryText(attempt)),
      });
      setText(progress, `Machine destroyed: ${machineId}`);
    } catch (error) {
      if (leaving.signal.aborted) return;
      if (!(error instanceof ProvisionMachineError)) throw error;
      showError(error);
    } finally {
      list.setDestroying(machineId, false);
      if (!leaving.signal.aborted) watcher.expectChanges(false);
    }
  }

  showButton();
  return {
    element: h(
      "div",
      { class: "user" },
      h("div", { class: "side" }, form.element),
      h(
        "div",
        { class: "main" },
        h("div", { class: "main-head" }, h("h1", {}, "Your machines"), connection),
        progress,
        errors.element,
        pending,
        list.element,
      ),
    ),
    stop() {
      leaving.abort();
      watcher.stop();
      list.close();
      errors.clear();
    },
  };
}

function retryText(attempt: number): string {
  return navigator.onLine
    ? `The answer was lost. Asking again with the same key (attempt ${attempt + 1}) …`
    : "You are offline. The same request is sent again as soon as you are back.";
}

/** Stands where the machine's card will be, from the press of the button on. */
function pendingCard({ region }: ProvisionRequest): HTMLElement {
  return h(
    "article",
    { class: "card machine pending", "aria-label": "Machine being asked for" },
    h("header", {}, h("h2", {}, "New machine"), badge("busy", "asking")),
    h(
      "p",
      { class: "machine-facts" },
      region ? regionName(region) : "The service's default region",
    ),
    timeline(stepsOf(null)),
  );
}
