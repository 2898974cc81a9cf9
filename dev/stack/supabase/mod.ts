/**
 * A local Supabase without containers: Auth and Data API (@supabase/lite) on Postgres, changes of
 * rows over Realtime, Edge Functions proxied to their process, behind one gateway as when hosted.
 *
 * ```ts
 * const supabase = await startSupabase();
 * const { client } = await supabase.createUser();
 * await client.from("cloud_machines").select();
 * await supabase.close();
 * ```
 */
import { pathToFileURL } from "node:url";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import type { JWK } from "jose";
import type { Row, StackDatabase } from "./database.ts";
import { matches } from "../faults.ts";
import { FunctionsProxy, type FunctionTarget } from "./functions-proxy.ts";
import { Gateway } from "./gateway.ts";
import { generateStackKeys, type StackKeys } from "./keys.ts";
import { ConnectionReset, listen } from "./listen.ts";
import { defaultCacheDir } from "./kept-files.ts";
import type { LiteService } from "./lite-service.ts";
import { readMigrations } from "./migrations.ts";
import { prepareOnPglite, prepareOnPostgres } from "./prepare.ts";
import { RealtimeService } from "./realtime/service.ts";
import type {
  GatewayRequest,
  Outage,
  RequestHook,
  RequestMatch,
  SupabaseFaultRule,
} from "./request-faults.ts";

export type {
  GatewayRequest,
  Outage,
  RequestHook,
  Service,
  SupabaseFault,
  SupabaseFaultRule,
} from "./request-faults.ts";
export type { FunctionTarget } from "./functions-proxy.ts";
export {
  generateSigningKey,
  mintUserToken,
  type SigningKey,
  type StackKeys,
  type UserTokenOptions,
} from "./keys.ts";

/** Input of {@link startSupabase}. */
export interface StartSupabaseOptions {
  /** A real Postgres, as its superuser. Default: PGlite in memory. */
  databaseUrl?: string;
  /** Default 0: any free one. */
  port?: number;
  /** A path or a `file:` URL. Default: this project's `supabase/migrations`. */
  migrationsDir?: string | URL;
  /** Public keys, served at `/auth/v1/.well-known/jwks.json`; tokens signed with them are accepted. */
  signingKeys?: JWK[];
  /** Whether the API roles get privileges on new tables by default, as hosted. Default `true`. */
  exposeNewTables?: boolean;
  /** Where PGlite's data directories are kept; `null`: nowhere. Default: the system's cache. */
  cacheDir?: string | null;
  /** Called with what start-up is doing. */
  onProgress?: (step: string) => void;
}

/** A user that signed up. */
export interface LocalUser {
  id: string;
  email: string;
  accessToken: string;
  /** Signed in as the user, in process. */
  client: SupabaseClient;
}

/** A running stack. */
export interface LocalSupabase extends StackKeys {
  /** `http://127.0.0.1:<port>`, what a hosted project's `SUPABASE_URL` is. */
  url: string;
  databaseUrl: string | null;
  /** Asks the gateway without a socket; a reset throws TypeError, as `fetch` does. */
  fetch: typeof fetch;
  /** Runs one statement as the superuser. */
  sql<T extends object = Row>(query: string, params?: unknown[]): Promise<T[]>;
  /** Signs a user up. Default: a new email, a random password. */
  createUser(credentials?: { email?: string; password?: string }): Promise<LocalUser>;
  /** A client with the secret key, in process. */
  serviceClient(): SupabaseClient;
  /** A client with the publishable key, in process. */
  anonClient(): SupabaseClient;
  /** Says where a function answers; `null`: deployed, but dead (503). */
  setFunction(name: string, target: FunctionTarget | null): void;
  /** Disables the legacy keys, or enables them again. */
  setLegacyKeys(enabled: boolean): void;
  /** `true`: Auth and Data API reset every connection; `false`: over. */
  setOutage(outage: boolean | Outage): void;
  /** Asks for a fault; the returned function takes the request back. */
  addFault(rule: SupabaseFaultRule): () => void;
  /** Calls the hook before each request; the returned function takes it away. */
  onRequest(hook: RequestHook): () => void;
  /** Ends every outage, fault and hook. */
  clearFaults(): void;
  /** What the gateway saw so far, in order. */
  requests(filter?: RequestMatch): GatewayRequest[];
  /** Forgets what the gateway saw. */
  clearRequests(): void;
  close(): Promise<void>;
}

/**
 * Starts a stack with the project's migrations applied.
 *
 * @throws Error when Postgres cannot be reached, a migration fails (naming its file) or the port
 *   is taken; nothing is left running then
 */
export async function startSupabase(options: StartSupabaseOptions = {}): Promise<LocalSupabase> {
  const { databaseUrl, signingKeys = [], onProgress = () => {} } = options;
  for (const { kid, d } of signingKeys) {
    if (d !== undefined) throw new Error(`signingKeys must be public; ${kid} has a private part`);
  }
  const keys = await generateStackKeys();
  const migrations = await readMigrations(migrationsUrl(options.migrationsDir));
  const plan = {
    keys,
    signingKeys,
    migrations,
    exposeNewTables: options.exposeNewTables ?? true,
    onProgress,
  };
  const { database, lite } = databaseUrl === undefined
    ? await prepareOnPglite(plan, {
      cacheDir: options.cacheDir === undefined ? defaultCacheDir() : options.cacheDir,
      // Others are those of tests of the stack itself, a database each.
      keep: options.migrationsDir === undefined,
    })
    : await prepareOnPostgres(plan, databaseUrl);
  try {
    return await open(database, lite, keys, options);
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function open(
  database: StackDatabase,
  lite: LiteService,
  keys: StackKeys,
  { port = 0, databaseUrl, signingKeys = [] }: StartSupabaseOptions,
): Promise<LocalSupabase> {
  const functions = new FunctionsProxy();
  const gateway = new Gateway(lite, functions, keys);
  const realtime = new RealtimeService(database, keys, signingKeys);
  const listener = await listen(
    port,
    (request, peerAddress) => gateway.handle(request, { transport: "http", peerAddress }),
    (path) => path.startsWith("/realtime/v1/websocket") ? realtime.port : null,
  ).catch(async (error) => {
    functions.close();
    await realtime.close();
    throw error;
  });

  const inProcess: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    try {
      request.signal.throwIfAborted();
      return await gateway.handle(request, { transport: "in-process", peerAddress: null });
    } catch (error) {
      request.signal.throwIfAborted();
      if (!(error instanceof ConnectionReset)) throw error;
      throw new TypeError(`fetch failed: ${error.message}`, { cause: error });
    }
  };
  const client = (key: string, accessToken?: string) =>
    createClient(listener.url, key, {
      auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
      global: {
        fetch: inProcess,
        ...(accessToken === undefined
          ? {}
          : { headers: { authorization: `Bearer ${accessToken}` } }),
      },
    });
  let closing: Promise<void> | undefined;

  return {
    ...keys,
    url: listener.url,
    databaseUrl: databaseUrl ?? null,
    fetch: inProcess,
    sql: async <T extends object>(query: string, params?: unknown[]) => {
      const rows = await database.query(query, params);
      if (changesSchema(query)) {
        await database.exclusive(() => database.connection.clearSchemaCache());
      }
      return rows as T[];
    },
    createUser: async (credentials = {}) => {
      const email = credentials.email ?? `user-${crypto.randomUUID()}@example.com`;
      const password = credentials.password ?? crypto.randomUUID();
      const { data, error } = await client(keys.publishableKey).auth.signUp({ email, password });
      if (error) throw new Error(`Cannot sign ${email} up: ${error.message}`, { cause: error });
      if (!data.user || !data.session) throw new Error(`Signing ${email} up gave no session`);
      const accessToken = data.session.access_token;
      return {
        id: data.user.id,
        email,
        accessToken,
        client: client(keys.publishableKey, accessToken),
      };
    },
    serviceClient: () => client(keys.secretKey),
    anonClient: () => client(keys.publishableKey),
    setFunction: (name, target) => functions.set(name, target),
    setLegacyKeys: (enabled) => gateway.setLegacyKeys(enabled),
    setOutage: (outage) => gateway.faults.setOutage(outage),
    addFault: (rule) => gateway.faults.add(rule),
    onRequest: (hook) => gateway.faults.addHook(hook),
    clearFaults: () => gateway.faults.clear(),
    requests: (filter = {}) => gateway.requests.filter((request) => matches(filter, request)),
    clearRequests: () => void gateway.requests.splice(0),
    close: () =>
      closing ??= (async () => {
        gateway.close();
        await listener.close();
        await realtime.close();
        functions.close();
        await database.close();
      })(),
  };
}

function migrationsUrl(directory: string | URL | undefined): URL {
  if (directory === undefined) return new URL("../../../supabase/migrations/", import.meta.url);
  const isUrl = directory instanceof URL || directory.startsWith("file:");
  const url = isUrl ? new URL(directory) : pathToFileURL(directory);
  return url.pathname.endsWith("/") ? url : new URL(`${url.href}/`);
}

/** Whether a statement may change what lite remembers of the schema. */
function changesSchema(query: string): boolean {
  return !/^\s*(select|insert|update|delete|with|values|table|explain|set|show)\b/i.test(query);
}
