/** What an alert says, as JSON that Slack and everything compatible with it understands. */
import type { Alert } from "./rows.ts";
import { HINTS } from "./hints.ts";

/** https://api.slack.com/messaging/webhooks#posting_with_webhooks */
export interface WebhookMessage {
  text: string;
}

export function alertMessage({ kind, event, content }: Alert): WebhookMessage {
  const { count, byCode, newestRequestId, windowMinutes } = content;
  if (event === "recovered") {
    const what = kind === "configuration" ? "configuration errors" : "failures";
    return {
      text: `✅ provision-machine recovered: no ${what} in the last ${minutes(windowMinutes)}`,
    };
  }
  const codes = Object.entries(byCode).sort(([, a], [, b]) => b - a);
  const [worst] = codes;
  return {
    text: [
      `❌ provision-machine: ${count} ${count === 1 ? "failure" : "failures"} in the last ${
        minutes(windowMinutes)
      }`,
      ...codes.map(([code, n]) => `• ${code}: ${n}`),
      ...(newestRequestId === null ? [] : [`Newest request: ${newestRequestId}`]),
      ...(worst ? [`What to do: ${HINTS[worst[0]] ?? HINTS.internal_error}`] : []),
    ].join("\n"),
  };
}

function minutes(n: number): string {
  return n === 1 ? "minute" : `${n} minutes`;
}
