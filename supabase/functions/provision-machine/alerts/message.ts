/** The text of an alert, as JSON that Slack and everything compatible with it understands. */
import type { Alert } from "../database/alerts.ts";
import { operatorHint } from "../errors.ts";

/** https://api.slack.com/messaging/webhooks#posting_with_webhooks */
export interface WebhookMessage {
  text: string;
}

/** The message of an alert that Postgres decided upon. */
export function alertMessage({ kind, event, content }: Alert): WebhookMessage {
  const { count, byCode, newestMachineId, windowMinutes, streak, atLeast } = content;
  if (kind === "reconcile") return reconcileMessage(event, Object.keys(byCode));
  if (kind === "fleet_filling" || kind === "fleet_full") {
    return message(
      event === "recovered" ? ["✅ provision-machine: fewer machines are in use again"] : [
        `❌ provision-machine: ${count} of ${content.limit} machines are in use`,
        whatToDo(kind),
      ],
    );
  }
  if (event === "recovered") {
    const what = kind === "configuration" ? "configuration or account errors" : "failures";
    return message([
      `✅ provision-machine recovered: no ${what} in the last ${minutes(windowMinutes)}`,
    ]);
  }
  const codes = Object.entries(byCode).sort(([, a], [, b]) => b - a);
  const failures = `${count} ${count === 1 ? "failure" : "failures"}`;
  return message([
    streak
      ? `❌ provision-machine: every one of the last ${count} attempts failed`
      : `❌ provision-machine: ${atLeast ? "at least " : ""}${failures} in the last ${
        minutes(windowMinutes)
      }`,
    ...codes.map(([code, n]) => `• ${code}: ${n}`),
    ...lookUp(newestMachineId ?? null),
    ...codes.slice(0, 1).map(([code]) => whatToDo(code)),
  ]);
}

/** Reconcile closes rows and removes machines, so nothing else matters while it does not run. */
function reconcileMessage(event: Alert["event"], codes: string[]): WebhookMessage {
  if (event === "recovered") return message(["✅ provision-machine: reconcile works again"]);
  const what = codes.includes("reconcile_failing")
    ? "everything that reconcile tried in ten minutes has failed"
    : "reconcile has not run for ten minutes";
  return message([`❌ provision-machine: ${what}`, ...codes.slice(0, 1).map(whatToDo)]);
}

/** The message of one failure, when the database cannot count others. */
export function loneAlertMessage(
  { code, error, machineId }: { code: string; error: string; machineId: string | null },
): WebhookMessage {
  return message([
    `❌ provision-machine: ${code}: ${error}`,
    ...lookUp(machineId),
    whatToDo(code),
  ]);
}

/** The message when machines without a row are held back from destruction. */
export function heldOrphansMessage(count: number): WebhookMessage {
  return message([
    `❌ provision-machine: ${count} machines at Fly.io have no row, and none of them is destroyed`,
    'What to do: if a backup was restored, adopt them; see "A backup was restored" in the runbook',
  ]);
}

/** Only a name that we made: a request's id may be a caller's, and an operator may click on it. */
function lookUp(machineId: string | null): string[] {
  return machineId === null ? [] : [`Newest machine: ${machineId}`];
}

function whatToDo(code: string): string {
  return `What to do: ${operatorHint(code)}`;
}

function minutes(n: number): string {
  return n === 1 ? "minute" : `${n} minutes`;
}

/** The three characters that Slack reads as markup. https://api.slack.com/reference/surfaces/formatting#escaping */
function message(lines: string[]): WebhookMessage {
  const text = lines.join("\n");
  return { text: text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;") };
}
