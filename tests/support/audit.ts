/**
 * What the contract promises whatever happens, checked on everything that a test left behind: the
 * log's budget and order, the invariants of rows and machines, and that no secret went anywhere.
 */
import assert from "node:assert/strict";
import type { FlySimulator } from "../../dev/stack/fly/mod.ts";
import type { OutputLine } from "../../dev/stack/function/mod.ts";
import type { LocalSupabase } from "../../dev/stack/supabase/mod.ts";
import { isSummary, type LogEvent, parseLog } from "./log-events.ts";

const BUDGETS = {
  success: { events: 6, bytes: 4 * 1024 },
  failure: { events: 10, bytes: 16 * 1024 },
};
const MAX_EVENT_CHARACTERS = 9_000;

/** What in a function's output is not as the contract says. */
export function logViolations(
  lines: OutputLine[],
  options: { level: string; mayLackSummary: (requestId: string) => boolean },
): string[] {
  const byRequest = Map.groupBy(parseLog(lines), ({ requestId }) => requestId ?? "none");
  // What happens outside of any request has no summary.
  byRequest.delete("none");
  return [...byRequest].flatMap(([requestId, events]) =>
    requestViolations(events, options.level !== "info" || options.mayLackSummary(requestId))
      .map((violation) =>
        `${requestId}: ${violation} (${events.map(({ message }) => message).join("; ")})`
      )
  );
}

function requestViolations(events: LogEvent[], mayLackSummary: boolean): string[] {
  const summaries = events.filter(isSummary);
  const [summary] = summaries;
  if (summary === undefined) return mayLackSummary ? [] : ["there is no summary"];
  const text = summary.text;
  const failed = /outcome"?[":= ]+failed/.test(text);
  // A request that succeeds although its isolate is being shut down has to say so as an error.
  const untroubled = !failed && !events.some(isFailure);
  const budget = untroubled ? BUDGETS.success : BUDGETS.failure;
  const bytes = events.reduce((sum, event) => sum + new TextEncoder().encode(event.text).length, 0);
  const ownStream = events.filter(({ stream }) => stream === summary.stream);
  return [
    ...(summaries.length === 1 ? [] : [`${summaries.length} summaries`]),
    ...(ownStream.at(-1) === summary ? [] : ["the summary is not the last event"]),
    ...(events.every(({ timestamp }) => timestamp <= summary.timestamp)
      ? []
      : ["an event is later than the summary"]),
    ...(events.length <= budget.events ? [] : [`${events.length} events`]),
    ...(bytes <= budget.bytes ? [] : [`${bytes} bytes`]),
    ...events.filter((event) => event.text.length > MAX_EVENT_CHARACTERS)
      .map((event) => `an event of ${event.text.length} characters`),
    ...events.filter((event) => event.level !== "" && event.stream !== streamOf(event.level))
      .map((event) => `${event.level} on ${event.stream}`),
    ...(failed && Number(/status"?[":= ]+(\d+)/.exec(text)?.[1]) >= 500 &&
        !events.some(isFailure)
      ? ["a failure without an error event"]
      : []),
  ];
}

function isFailure({ stream, message }: LogEvent): boolean {
  return stream === "stderr" && /^(❌|CRITICAL ERROR)/.test(message);
}

function streamOf(level: string): OutputLine["stream"] {
  return level === "warning" || level === "error" ? "stderr" : "stdout";
}

/** What in the database and at Fly.io is not as I1 to I4 say, once nothing is under way any more. */
export async function invariantViolations(
  supabase: LocalSupabase,
  simulator: FlySimulator,
  secrets: Secrets,
): Promise<string[]> {
  const rows = await supabase.sql<{
    machine_id: string;
    status: string;
    fly_machine_id: string | null;
    reconcile_at: string | null;
  }>("select machine_id, status, fly_machine_id, reconcile_at from cloud_machines");
  const live = simulator.liveMachines();
  const violations = rows.flatMap(({ machine_id, status, fly_machine_id, reconcile_at }) => {
    const machines = live.filter(({ name }) => name === machine_id);
    const all = simulator.machines().filter(({ name }) => name === machine_id);
    return [
      ...(status === "provisioning" ? [`I1: ${machine_id} is still provisioning`] : []),
      ...(status === "running" && machines[0]?.id !== fly_machine_id
        ? [`I2: ${machine_id} is running without its machine`]
        : []),
      ...(all.length > 1 ? [`I3: ${machine_id} had ${all.length} machines`] : []),
      ...(["error", "destroyed"].includes(status) && reconcile_at === null && machines.length > 0
        ? [`I4: ${machine_id} is ${status} and has a live machine that nobody looks at`]
        : []),
    ];
  });
  for (const table of ["cloud_machines", "machine_events", "reconcile_runs"]) {
    const stored = await supabase.sql(`select * from ${table}`);
    secrets.assertAbsent(JSON.stringify(stored), `the table ${table}`);
  }
  return violations;
}

/** Secrets that were given to the function and must not come out of it, in any usual encoding. */
export class Secrets {
  private readonly needles = new Set<string>();

  constructor(secrets: string[]) {
    for (const secret of secrets) this.add(secret);
  }

  /** Adds a secret. Shorter ones than 12 characters occur by chance, so they prove nothing. */
  add(secret: string): void {
    if (secret.length < 12) return;
    for (const fragment of fragments(secret)) this.needles.add(fragment);
  }

  addEnvironment(env: Record<string, string>): void {
    const names = ["FLY_API_TOKEN", "SUPABASE_SERVICE_ROLE_KEY", "ALERT_WEBHOOK_URL"];
    for (const name of names) this.add(env[name] ?? "");
    for (const name of ["SUPABASE_SECRET_KEYS", "MACHINE_ENV"]) {
      try {
        for (const value of Object.values(JSON.parse(env[name] ?? "{}"))) this.add(String(value));
      } catch {
        // Broken on purpose by a test of the environment; then all of it must stay inside.
        this.add(env[name] ?? "");
      }
    }
  }

  /** @throws AssertionError when one of the secrets, or a telling part of one, is in `text` */
  assertAbsent(text: string, where: string): void {
    for (const needle of this.needles) {
      const at = text.indexOf(needle);
      if (at < 0) continue;
      assert.fail(`${where} contains a secret: …${text.slice(Math.max(0, at - 200), at + 60)}…`);
    }
  }
}

/** Long enough not to occur by chance, short enough to find a secret that was cut. */
const FRAGMENT = 12;

function fragments(secret: string): string[] {
  // Header and payload of a JWT are no secret; its signature is.
  const [, , signature] = /^[\w-]+\.[\w-]+\.[\w-]+$/.test(secret) ? secret.split(".") : [];
  const telling = signature ?? secret;
  return [
    ...windows(telling, FRAGMENT),
    ...base64Forms(telling).flatMap((form) => windows(form, FRAGMENT + 4)),
    encodeURIComponent(secret),
  ];
}

/** Every part of this length. */
function windows(text: string, length: number): string[] {
  if (text.length <= length) return [text];
  return Array.from(
    { length: text.length - length + 1 },
    (_, start) => text.slice(start, start + length),
  );
}

/** What any base64 of a text that contains the secret contains too, whatever stands before it. */
function base64Forms(secret: string): string[] {
  const bytes = new TextEncoder().encode(secret);
  return [0, 1, 2].flatMap((before) => {
    const padded = new Uint8Array(before + bytes.length);
    padded.set(bytes, before);
    const encoded = btoa(String.fromCharCode(...padded)).replace(/=+$/, "");
    // The first and the last group also depend on what stands next to the secret.
    const sure = encoded.slice(before === 0 ? 0 : 4, -4);
    return [sure, sure.replaceAll("+", "-").replaceAll("/", "_")];
  });
}
