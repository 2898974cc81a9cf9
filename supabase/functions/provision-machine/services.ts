/** What a request works with: made once an isolate, or once for each environment seen. */
import { ENVIRONMENT, parseEnvironment } from "./config/environment.ts";
import type { Environment, Settings } from "./config/environment.ts";
import { type AuthClient, createAuthClient } from "./auth/client.ts";
import { serviceKeys } from "./auth/service-keys.ts";
import { createDatabaseClient } from "./database/client.ts";
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

/** What leads to a database. */
export type DatabaseSettings =
  & Pick<Settings, "SUPABASE_URL">
  & Partial<Pick<Settings, "SUPABASE_SECRET_KEYS" | "SUPABASE_SERVICE_ROLE_KEY">>;

export interface Database {
  auth: AuthClient;
  machines: CloudMachines;
  caller: DatabaseCaller;
  /** Every key with service rights. */
  keys: string[];
}

/** What is read of the environment: the settings, and a secret of the platform that must not leave. */
const VARIABLES = [...Object.keys(ENVIRONMENT), "SUPABASE_DB_URL"];

/** The environment, parsed, and the text that it was parsed from. */
type ReadEnvironment = Environment & { env: Record<string, string | undefined> };

export class Services {
  readonly redactor = new Redactor();
  readonly unfinished = new Unfinished();
  /** The last health report, which everybody who asks soon after shares. */
  health: CachedHealth | undefined;
  /** When this isolate sent an alert by itself, by error code, in milliseconds since the epoch. */
  readonly lastLoneAlertAt = new Map<string, number>();
  private database: (Database & { madeFor: DatabaseSettings }) | undefined;
  private environment: ReadEnvironment | undefined;
  private releaseSecrets = () => {};

  constructor(readonly runtime: Runtime) {}

  /** The environment as it is now; parsed anew only when it has changed. */
  readEnvironment(): ReadEnvironment {
    const { environment, runtime } = this;
    if (environment && VARIABLES.every((name) => runtime.env(name) === environment.env[name])) {
      return environment;
    }
    const env = Object.fromEntries(VARIABLES.map((name) => [name, runtime.env(name)]));
    const parsed = parseEnvironment(env);
    this.releaseSecrets();
    this.releaseSecrets = this.redactor.protect(secretsOf(env, parsed.settings));
    return this.environment = { ...parsed, env };
  }

  /** The database and the Auth server; the clients are kept, and with them connections and keys. */
  openDatabase(settings: DatabaseSettings): Database {
    // Settings are parsed anew only when they have changed.
    if (this.database?.madeFor !== settings) {
      const keys = serviceKeys(settings);
      const [key = ""] = keys;
      const client = createDatabaseClient(settings.SUPABASE_URL, key, this.runtime);
      const caller = new DatabaseCaller(client, this.runtime);
      this.database = {
        auth: createAuthClient(settings.SUPABASE_URL, key, this.runtime),
        machines: new CloudMachines(caller),
        caller,
        keys,
        madeFor: settings,
      };
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
