// Without a service: every failure is typed, and the process lives on. Runs under Node.js and Deno.
import { createProvisionMachineClient, ProvisionMachineError } from "provision-machine-client";

const machines = createProvisionMachineClient({
  // The port of `discard`, where nothing listens.
  supabaseUrl: "http://127.0.0.1:9",
  publishableKey: "sb_publishable_key",
  getAccessToken: async () => "token",
  maxAttempts: 2,
});

async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "no error";
  } catch (error) {
    if (!(error instanceof ProvisionMachineError)) return String(error);
    return `${error.code} ${error.retry} ${error.idempotencyKey ? "with its key" : "without a key"}`;
  }
}

const leaving = new AbortController();
const states: string[] = [];
const watched = new Promise<void>((resolve) => {
  machines.watch({
    onMachines: () => states.push("machines"),
    onState: (state) => {
      states.push(state);
      if (state === "failing") resolve();
    },
    signal: leaving.signal,
  });
});
const connected = new Promise<string>((resolve) => {
  const connection = machines.connect("machine-1", {
    onState: (state, error) => {
      if (state === "connecting") connection.close();
      if (state === "closed") resolve(`${state} ${error?.retry ?? "by us"}`);
    },
  });
});
const report = {
  hasWebSocket: "WebSocket" in globalThis,
  provision: await codeOf(machines.provision()),
  list: await codeOf(machines.list()),
  destroy: await codeOf(machines.destroy("machine-1")),
  aborted: await codeOf(machines.stop("machine-1", { signal: AbortSignal.abort("we left") })),
  connected: await connected,
  watched: await watched.then(() => states.join()),
};
leaving.abort();
// A timer that was left behind would throw by now.
await new Promise((resolve) => setTimeout(resolve, 1_000));
console.log(JSON.stringify(report));
