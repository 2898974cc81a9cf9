/** One message to the webhook. */
import { withTimeout } from "../deadline.ts";
import type { Redactor } from "../logging/redactor.ts";
import type { Runtime } from "../runtime.ts";
import type { WebhookMessage } from "./message.ts";

const WEBHOOK_TIMEOUT_MS = 5_000;

/** Returns why the message was not accepted, or null. Never throws. */
export async function post(
  runtime: Pick<Runtime, "clock" | "fetch">,
  url: string,
  message: WebhookMessage,
  redactor: Redactor,
): Promise<Error | null> {
  try {
    return await withTimeout(runtime.clock, WEBHOOK_TIMEOUT_MS, async (signal) => {
      const response = await runtime.fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: redactor.redact(JSON.stringify(message)),
        // The address is a secret; whoever it leads to next is not who was configured.
        redirect: "manual",
        signal,
      });
      await response.body?.cancel();
      return response.ok ? null : new Error(`the webhook answered ${response.status}`);
    });
  } catch (error) {
    return new Error(withoutUrl(error, url));
  }
}

/** Why it failed, without the address: Deno's errors quote it, and whoever has it can post. */
function withoutUrl(error: unknown, url: string): string {
  const reason = error instanceof Error ? error.message : String(error);
  return reason.replaceAll(url, "the webhook").replace(/https?:\/\/[^\s)]+/g, "the webhook");
}
