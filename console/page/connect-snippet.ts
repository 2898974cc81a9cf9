/** How a program connects to the machine, to be copied. */
import { copyButton, h } from "./dom.ts";

/** As docs/API.md has it; `supabase` is the signed-in user's client. */
export function connectCode(functionName: string, machineId: string): string {
  return `\
const { data, error } = await supabase.functions.invoke("${functionName}/${machineId}/connect");
if (error) throw error;
const url = new URL(data.websocketUrl);
url.searchParams.set("token", data.token); // valid for a minute: ask again before each connection
const socket = new WebSocket(url);`;
}

export function connectSnippet(functionName: string, machineId: string): HTMLElement {
  const code = connectCode(functionName, machineId);
  return h(
    "details",
    { class: "snippet" },
    h("summary", {}, "Connect from your code"),
    h("pre", { tabindex: 0, role: "region", "aria-label": "Code to connect" }, h("code", {}, code)),
    copyButton(code, "code"),
  );
}
