/** The script of a page whose component is the hook, without JSX: what it knows, and a button for each. */
import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { createProvisionMachineClient } from "provision-machine-client";
import { useMachine } from "../../../client/src/react.ts";

const query = new URLSearchParams(location.search);
const client = createProvisionMachineClient({
  supabaseUrl: query.get("supabaseUrl") ?? "",
  publishableKey: query.get("publishableKey") ?? "",
  getAccessToken: () => Promise.resolve(query.get("token")),
  maxAttempts: 1,
});

function Page() {
  const { machine, machines, pending, error, state, ...actions } = useMachine(client);
  const facts = {
    state,
    machines: machines === null ? "unknown" : `${machines.length} machines`,
    machine: machine?.status ?? "none",
    pending: pending ?? "idle",
    error: error?.code ?? "fine",
  };
  const { provision, start, stop, suspend, destroy } = actions;
  const buttons = { provision, start, stop, suspend, destroy };
  return createElement(
    "main",
    null,
    ...Object.entries(facts).map(([name, text]) => createElement("p", { id: name }, text)),
    ...Object.entries(buttons).map(([name, act]) =>
      createElement("button", { type: "button", onClick: () => void act() }, name)
    ),
  );
}

createRoot(document.getElementById("root")).render(createElement(Page));
