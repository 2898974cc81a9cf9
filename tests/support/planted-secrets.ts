/** Canaries in every place that a secret can come from, and ways to make upstreams repeat them. */
import assert from "node:assert/strict";
import { SecretFinder } from "../invariants/secrets.ts";
import type { CallOptions, RunningFunction } from "./running-function.ts";
import type { Stack } from "./stack.ts";
import type { Webhook } from "./webhook.ts";

/** Calls the function and keeps every answer, with the headers. */
export class Outlet {
  readonly texts: [where: string, text: string][] = [];

  async call(
    fn: RunningFunction,
    where: string,
    { path = "", method = "POST", headers = {}, body }: CallOptions,
  ): Promise<Response> {
    const response = await fetch(`${fn.url}/provision-machine${path}`, {
      method,
      headers,
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.clone().text();
    this.texts.push([where, `${JSON.stringify([...response.headers])}\n${text}`]);
    return response;
  }
}

export interface Planted {
  canaries: SecretFinder;
  env: Record<string, string>;
  flyToken: string;
  /** One more key with service rights, beside the project's own. */
  otherKey: string;
  /** Every secret that Fly.io, the database or a caller knows and might repeat. */
  known: string[];
}

export function plant(webhook: Webhook): Planted {
  const canaries = new SecretFinder();
  const flyToken = canaries.plant(
    "FLY_API_TOKEN",
    (canary) => `FlyV1 fm2_${canary},fm2_${canary}B`,
  );
  const otherKey = canaries.plant("another secret key", (canary) => `sb_secret_${canary}`);
  const machinePassword = canaries.plant(
    "MACHINE_ENV",
    (canary) => `${canary}/+ "quoted" \\ &é=${canary}`,
  );
  const databaseUrl = canaries.plant(
    "SUPABASE_DB_URL",
    (canary) => `postgres://postgres:${canary}@db.example.com:5432/postgres`,
  );
  canaries.add("ALERT_WEBHOOK_URL", new URL(webhook.url).pathname);
  const env = {
    FLY_API_TOKEN: flyToken,
    MACHINE_ENV: JSON.stringify({ DATABASE_PASSWORD: machinePassword }),
    SUPABASE_DB_URL: databaseUrl,
    ALERT_WEBHOOK_URL: webhook.url,
    ALERT_FAILURE_THRESHOLD: "1",
    ALERT_COOLDOWN_MINUTES: "0.0001",
    // Secrets of the project's other functions are in this one's environment too.
    MAX_MACHINES_PER_USER: "100000",
    STRIPE_SECRET_KEY: canaries.plant("another function's secret"),
    SUPABASE_JWKS: canaries.plant("SUPABASE_JWKS", (canary) => `{"keys":["${canary}"]}`),
  };
  return {
    canaries,
    env,
    flyToken,
    otherKey,
    known: [flyToken, otherKey, machinePassword, databaseUrl, webhook.url],
  };
}

/** Texts in which an upstream repeats what it was sent, in different encodings. */
export function echoes(known: string[]): string[] {
  const utf8 = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
  return known.flatMap((secret) => [
    `refused ${secret}`,
    `refused Authorization: Bearer ${secret}; try another`,
    `refused ${encodeURIComponent(secret)}`,
    `refused ${btoa(utf8(secret))}`,
    `refused Basic ${btoa(utf8(`user:${secret}`))} and ${btoa(utf8(`us:${secret}:more`))}`,
    `refused ${JSON.stringify({ env: { A: secret } })}`,
    // Where texts are cut: in the message, in the event's detail, in the log's field.
    ...[118, 285, 585, 1_190, 1_990].map((length) => `${"x".repeat(length)} ${secret}`),
  ]);
}

/** PostgREST's error body, with a secret in each place that can hold one. */
export function databaseError(secret: string): Record<string, string> {
  return { code: "XX000", message: secret, details: `password=${secret}`, hint: secret };
}

/** Every row of every table of ours. */
export async function dumpOf({ supabase }: Stack): Promise<[string, string][]> {
  const tables = await supabase.sql<{ name: string }>(
    "select table_name as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'",
  );
  const names = tables.map(({ name }) => name);
  for (const known of ["cloud_machines", "machine_events", "alerts", "reconcile_runs"]) {
    assert.ok(names.includes(known));
  }
  return await Promise.all(
    names.map(async (name): Promise<[string, string]> => [
      `the table ${name}`,
      JSON.stringify(await supabase.sql(`select * from public.${name}`)),
    ]),
  );
}
