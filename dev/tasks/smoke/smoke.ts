/**
 * A deployment from a user's point of view, and what the contract promises of it: an account, a machine,
 * its WebSocket, and nothing left afterwards. Knows nothing but URLs and keys, so it runs against the
 * local stack, the CLI's own and a hosted project alike.
 */
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import { callFunction, FUNCTION_NAME, isSuccess } from "../start/call-function.ts";
import { firstMessage } from "../start/first-machine.ts";

export interface SmokeOptions {
  /** Without a trailing slash. */
  url: string;
  secretKey: string;
  publishableKey: string;
  /** How long a new address may take: Fly.io's DNS needs half a minute or more. */
  connectWithinMs: number;
  /** Told of each step that is done. */
  say(line: string): void;
}

/** A promise that was not kept. */
export class SmokeError extends Error {
  override name = "SmokeError";
}

const PASSWORD_BYTES = 24;
const RETRY_MS = 2_000;
/** A machine of the smallest size, by the second. https://fly.io/docs/about/pricing/ */
const DOLLARS_PER_SECOND = 2.32 / (30 * 24 * 3_600);
const CLIENT_OPTIONS = {
  auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
};

const Machine = z.looseObject({
  machineId: z.string(),
  status: z.enum(["running", "provisioning", "stopped"]),
});
const Connection = z.looseObject({ websocketUrl: z.string(), token: z.string() });
const Refusal = z.looseObject({ code: z.string(), requestId: z.string() });

/** @throws {SmokeError} naming the first promise that was not kept; account and machine are gone then too */
export async function smoke(options: SmokeOptions): Promise<void> {
  const { url, secretKey, publishableKey, say } = options;
  await strangersAreRefused(options);
  say("strangers are refused, and browsers may ask");
  const admin = createClient(url, secretKey, CLIENT_OPTIONS);
  const client = createClient(url, publishableKey, CLIENT_OPTIONS);
  const password = crypto.getRandomValues(new Uint8Array(PASSWORD_BYTES)).toBase64();
  const email = `smoke-${crypto.randomUUID()}@example.com`;
  const created = await admin.auth.admin.createUser({ email, password, email_confirm: true });
  if (created.error) throw new SmokeError(`no account can be made: ${created.error.message}`);
  const userId = created.data.user.id;
  try {
    const { error } = await client.auth.signInWithPassword({ email, password });
    if (error) throw new SmokeError(`the new account cannot sign in: ${error.message}`);
    say("signed in as a new user");
    await liveOfOneMachine(client, options);
  } finally {
    const status = await deleteAccount(options, userId);
    say(status < 300 ? "account deleted" : `the account ${userId} is still there: HTTP ${status}`);
  }
}

async function strangersAreRefused({ url, publishableKey }: SmokeOptions): Promise<void> {
  const endpoint = `${url}/functions/v1/${FUNCTION_NAME}`;
  const preflight = await fetch(endpoint, {
    method: "OPTIONS",
    headers: {
      origin: "https://app.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization, apikey, content-type, idempotency-key",
    },
  });
  await preflight.body?.cancel();
  demand(preflight.ok, `a preflight is answered HTTP ${preflight.status}`);
  const headers = { apikey: publishableKey, "content-type": "application/json" };
  const refused = await fetch(endpoint, { method: "POST", headers, body: "{}" });
  const refusal = Refusal.safeParse(await refused.json()).data;
  demand(
    refused.status === 401 && refusal?.code === "unauthorized",
    `a call without a user is answered HTTP ${refused.status}, not 401 unauthorized`,
  );
  demand(
    refused.headers.get("x-request-id") === refusal?.requestId,
    "an answer has another request id in its header than in its body",
  );
}

/** supabase-js reads the user first and leaves the answer's body unread. @returns the HTTP status */
async function deleteAccount({ url, secretKey }: SmokeOptions, userId: string): Promise<number> {
  const response = await fetch(`${url}/auth/v1/admin/users/${userId}`, {
    method: "DELETE",
    headers: { apikey: secretKey, authorization: `Bearer ${secretKey}` },
  });
  await response.body?.cancel();
  return response.status;
}

async function liveOfOneMachine(client: SupabaseClient, options: SmokeOptions): Promise<void> {
  const { say } = options;
  const startedAt = performance.now();
  const machine = await provision(client);
  const seconds = () => (performance.now() - startedAt) / 1_000;
  say(`${machine.machineId} runs after ${seconds().toFixed(1)} s`);
  try {
    await rowIsSeen(client, machine.machineId, "running");
    say("its owner sees the row");
    await reach(client, machine.machineId, options);
    say(`its WebSocket answers after ${seconds().toFixed(1)} s`);
  } finally {
    await destroy(client, machine.machineId);
    say(`destroyed; about $${(seconds() * DOLLARS_PER_SECOND).toFixed(5)}`);
  }
  await rowIsSeen(client, machine.machineId, "destroyed");
}

async function provision(client: SupabaseClient): Promise<z.infer<typeof Machine>> {
  const signal = AbortSignal.timeout(150_000);
  const { status, answer } = await callFunction(client, { body: {}, signal });
  const machine = Machine.safeParse(answer).data;
  if (!isSuccess(status) || machine === undefined) {
    throw new SmokeError(`POST is answered HTTP ${status}: ${JSON.stringify(answer)}`);
  }
  return machine;
}

async function reach(
  client: SupabaseClient,
  machineId: string,
  { connectWithinMs }: SmokeOptions,
): Promise<void> {
  const until = performance.now() + connectWithinMs;
  for (;;) {
    // A token is good for a minute, which a new name in the DNS may outlast.
    const path = `/${machineId}/connect`;
    const { status, answer } = await callFunction(client, {
      path,
      signal: AbortSignal.timeout(30_000),
    });
    const issued = Connection.safeParse(answer).data;
    if (issued === undefined) {
      throw new SmokeError(`POST ${path} is answered HTTP ${status}: ${JSON.stringify(answer)}`);
    }
    const address = new URL(issued.websocketUrl);
    address.searchParams.set("token", issued.token);
    try {
      await firstMessage(address, AbortSignal.timeout(10_000));
      return;
    } catch (error) {
      if (performance.now() > until) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new SmokeError(`${issued.websocketUrl} cannot be reached: ${reason}`);
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

async function destroy(client: SupabaseClient, machineId: string): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  const call = { method: "DELETE", path: `/${machineId}`, signal } as const;
  const { status, answer } = await callFunction(client, call);
  if (isSuccess(status)) return;
  throw new SmokeError(
    `DELETE ${machineId} is answered HTTP ${status}: ${JSON.stringify(answer)}; it may still bill`,
  );
}

async function rowIsSeen(
  client: SupabaseClient,
  machineId: string,
  status: string,
): Promise<void> {
  const { data, error } = await client.from("cloud_machines").select("status")
    .eq("machine_id", machineId).maybeSingle();
  if (error) throw new SmokeError(`the row cannot be read: ${error.message}`);
  demand(data?.status === status, `the row says ${data?.status}, not ${status}`);
}

function demand(kept: boolean, otherwise: string): asserts kept {
  if (!kept) throw new SmokeError(otherwise);
}
