/** What a request works with: made once an isolate, or once for each environment seen. */
import { ENVIRONMENT, parseEnvironment } from "./config/environment.ts";
import type { Environment, Settings } from "./config/environment.ts";
import { serviceKeys } from "./auth/service-keys.ts";
import { createServiceClient, type Supabase } from "./database/client.ts";
import { DatabaseCaller } from "./database/caller.ts";
import { CloudMachines } from "./database/cloud-machines.ts";
import { FlyClient } from "./fly/client.ts";
import type { CachedHealth } from "./health/handle-health.ts";
import { childTraceparent, type TraceContext } from "./http/request-context.ts";
import { Redactor } from "./logging/redactor.ts";
import { configureLogging } from "./logging/configure.ts";
import { RequestLog } from "./logging/request-log.ts";
import { secretsOf } from "./logging/secrets.ts";
import { Unfinished } from "./provisioning/unfinished.ts";
import type { Runtime } from "./runtime.ts";

export interface Database {
  supabase: Supabase;
  machines: CloudMachines;
  caller: DatabaseCaller;
  /** Every key with service rights. */
  keys: string[];
}

/** By these an environment is recognised; Deno lists all variables in another order each time. */
const RECOGNISED_BY = [...Object.keys(ENVIRONMENT), "SUPABASE_DB_URL"];

export class Services {
  readonly redactor = new Redactor();
  readonly unfinished = new Unfinished();
  /** The last health report, which everybody who asks soon after shares. */
  health: CachedHealth | undefined;
  /** When this isolate sent an alert by itself, by error code, in milliseconds since the epoch. */
  readonly lastLoneAlertAt = new Map<string, number>();
  private database: (Database & { madeFor: string }) | undefined;
  private environment: { madeFor: string; parsed: Environment } | undefined;
  private releaseSecrets = () => {};

  constructor(readonly runtime: Runtime) {}

  /** The environment as it is now; parsed anew only when it has changed. */
  readEnvironment(): Environment & { env: Record<string, string | undefined> } {
    const env = this.runtime.env();
    const madeFor = JSON.stringify(RECOGNISED_BY.map((name) => env[name]));
    if (this.environment?.madeFor !== madeFor) {
      this.environment = { madeFor, parsed: parseEnvironment(env) };
      this.releaseSecrets();
      this.releaseSecrets = this.redactor.protect(secretsOf(env, this.environment.parsed.settings));
    }
    return { ...this.environment.parsed, env };
  }

  /** The database and the Auth server; the client is kept, and with it its connections and keys. */
  openDatabase(
    settings:
      & Pick<Settings, "SUPABASE_URL">
      & Partial<Pick<Settings, "SUPABASE_SECRET_KEYS" | "SUPABASE_SERVICE_ROLE_KEY">>,
  ): Database {
    const keys = serviceKeys(settings);
    const madeFor = JSON.stringify([settings.SUPABASE_URL, keys]);
    if (this.database?.madeFor !== madeFor) {
      const supabase = createServiceClient(settings.SUPABASE_URL, keys[0] ?? "", this.runtime);
      const caller = new DatabaseCaller(supabase, this.runtime);
      const machines = new CloudMachines(caller);
      this.database = { supabase, machines, caller, keys, madeFor };
    }
    return this.database;
  }

  /** The last resort of a promise that nobody awaited. Never throws. */
  logUnhandled(reason: unknown): void {
    const { settings } = this.readEnvironment();
    const log = new RequestLog(configureLogging(settings, this.redactor), "none");
    log.alsoFailed("❌ An error was not handled by any request", reason, {
      code: "internal_error",
    });
  }

  flyClient(
    settings: Pick<Settings, "FLY_API_HOSTNAME" | "FLY_API_TOKEN" | "FLY_REQUEST_TIMEOUT_SECONDS">,
    trace: TraceContext | undefined,
  ): FlyClient {
    return new FlyClient({
      runtime: this.runtime,
      baseUrl: settings.FLY_API_HOSTNAME,
      token: settings.FLY_API_TOKEN,
      requestTimeoutMs: settings.FLY_REQUEST_TIMEOUT_SECONDS * 1_000,
      redact: (text) => this.redactor.redact(text),
      traceparent: trace && childTraceparent(trace, this.runtime.randomBytes(8)),
    });
  }
}
