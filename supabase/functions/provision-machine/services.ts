/** What a request works with: made once an isolate, or once for each environment seen. */
import { ENVIRONMENT, parseEnvironment } from "./config/environment.ts";
import type { Environment, Settings } from "./config/environment.ts";
import type { GoTrueClient } from "@supabase/supabase-js";
import { serviceKeys } from "./auth/service-keys.ts";
import type { Database } from "./database/database.ts";
import type { CachedHealth } from "./health/handle-health.ts";
import { Redactor } from "./logging/redactor.ts";
import { configureLogging } from "./logging/configure.ts";
import { RequestLog } from "./logging/request-log.ts";
import { secretsOf } from "./logging/secrets.ts";
import { Unfinished } from "./provisioning/unfinished.ts";
import { lazy } from "./lazy.ts";
import type { Runtime } from "./runtime.ts";

/** What leads to the database and to the Auth server. */
export type DatabaseSettings =
  & Pick<Settings, "SUPABASE_URL">
  & Partial<Pick<Settings, "SUPABASE_SECRET_KEYS" | "SUPABASE_SERVICE_ROLE_KEY">>;

/** With supabase-js, half of what there is to load: not before somebody has credentials to be checked. */
const loadDatabase = lazy(() => import("./database/database.ts"));
const loadAuth = lazy(() => import("./auth/verify-user-token.ts"));

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
  private database: { madeFor: DatabaseSettings; database: Database } | undefined;
  private auth: { madeFor: DatabaseSettings; client: GoTrueClient } | undefined;
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
    const releaseOldSecrets = this.releaseSecrets;
    this.releaseSecrets = this.redactor.protect(secretsOf(env, parsed.settings));
    releaseOldSecrets();
    return this.environment = { ...parsed, env };
  }

  /** The database; its client is kept, and with it its connections. */
  async openDatabase(settings: DatabaseSettings): Promise<Database> {
    const { connectDatabase } = await loadDatabase();
    // Settings are parsed anew only when they have changed.
    if (this.database?.madeFor !== settings) {
      const [key = ""] = serviceKeys(settings);
      const database = connectDatabase(settings.SUPABASE_URL, key, this.runtime);
      this.database = { madeFor: settings, database };
    }
    return this.database.database;
  }

  /**
   * The id of the user whose token it is; the keys that verify tokens are kept. Throws
   * {@link AppError} `unauthorized` or `internal_error`.
   */
  async verifyUserToken(token: string, settings: DatabaseSettings): Promise<string> {
    const { createAuthClient, verifyUserToken } = await loadAuth();
    if (this.auth?.madeFor !== settings) {
      const [key = ""] = serviceKeys(settings);
      const client = createAuthClient(settings.SUPABASE_URL, key, this.runtime);
      this.auth = { madeFor: settings, client };
    }
    return await verifyUserToken(token, this.auth.client);
  }

  /** The last resort of a promise that nobody awaited. Never throws. */
  logUnhandled(reason: unknown): void {
    const { settings } = this.readEnvironment();
    const logger = configureLogging(settings, this.redactor);
    const log = new RequestLog(logger, this.runtime.clock, "none");
    log.alsoFailed("❌ An error was not handled by any request", reason, {
      code: "internal_error",
    });
  }
}
