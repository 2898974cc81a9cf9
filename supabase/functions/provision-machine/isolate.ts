/** What requests share: made once per isolate, or once per environment seen. */
import type { Logger } from "@logtape/logtape";
import { ENVIRONMENT, type Environment, type Platform } from "./config/environment.ts";
import { askGateway, LegacyKey } from "./auth/legacy-key.ts";
import type { TokenVerifier, VerifiedUser } from "./auth/verify-user-token.ts";
import { parseEnvironment } from "./config/parse-environment.ts";
import { secretsOf } from "./config/secrets.ts";
import type { Database } from "./database/database.ts";
import { configureLogging } from "./logging/log-format.ts";
import { Redactor } from "./logging/redactor.ts";
import { RefusalCounts, RefusalLog } from "./logging/refusals.ts";
import { RequestLog } from "./logging/request-log.ts";
import { lazy, type Runtime } from "./runtime.ts";
import { Deadline } from "./time.ts";

/** supabase-js is half of the start-up cost; load it only when there are credentials to verify. */
const loadDatabase = lazy(() => import("./database/database.ts"));
const loadAuth = lazy(() => import("./auth/verify-user-token.ts"));

/** What is read of the environment: the settings, and a platform secret that must be redacted. */
const VARIABLES = [...Object.keys(ENVIRONMENT), "SUPABASE_DB_URL"];

/** Nobody waits for it, and another time will do. */
const COUNT_TIMEOUT_MS = 3_000;

export class Isolate {
  readonly redactor = new Redactor();
  readonly refusals: RefusalLog;
  readonly refusalCounts: RefusalCounts;
  private logging: { level: string; format: string; logger: Logger } | undefined;
  private database: { madeFor: Platform; database: Database } | undefined;
  private verifier: TokenVerifier | undefined;
  private legacy: { platform: Platform; key: LegacyKey } | undefined;
  private environment: Environment | undefined;
  private releaseSecrets = () => {};

  constructor(readonly runtime: Runtime) {
    this.refusals = new RefusalLog(runtime);
    this.refusalCounts = new RefusalCounts(runtime, (counts) => this.countRefused(counts));
  }

  /** The environment as it is now; parsed again only when it has changed. */
  readEnvironment(): Environment {
    const { environment, runtime } = this;
    if (environment && VARIABLES.every((name) => runtime.env(name) === environment.texts[name])) {
      return environment;
    }
    const texts = Object.fromEntries(VARIABLES.map((name) => [name, runtime.env(name)]));
    const parsed = parseEnvironment(texts);
    const releaseOldSecrets = this.releaseSecrets;
    this.releaseSecrets = this.redactor.protect(secretsOf(parsed));
    releaseOldSecrets();
    return this.environment = parsed;
  }

  /**
   * The function's logger. Settings that are missing, because they do not parse, are the defaults
   * here: a broken `LOG_LEVEL` has to be reported somehow.
   */
  logger({ settings }: Environment): Logger {
    const { LOG_LEVEL: level = "info", LOG_FORMAT: format = "json" } = settings;
    if (this.logging?.level !== level || this.logging.format !== format) {
      const logger = configureLogging({ level, format }, this.redactor);
      this.logging = { level, format, logger };
    }
    return this.logging.logger;
  }

  /** The database; its client is kept, and with it its connections. */
  async openDatabase(platform: Platform): Promise<Database> {
    const { connectDatabase } = await loadDatabase();
    // The environment is parsed again only when it has changed.
    if (this.database?.madeFor !== platform) {
      this.database = { madeFor: platform, database: connectDatabase(platform, this.runtime) };
    }
    return this.database.database;
  }

  private async countRefused(counts: Record<string, number>): Promise<void> {
    const { platform } = this.readEnvironment();
    if (platform === null) throw new Error("there is no database to count in");
    const { observations } = await this.openDatabase(platform);
    await observations.countRefused(counts, Deadline.after(this.runtime.clock, COUNT_TIMEOUT_MS));
  }

  /**
   * The user to whom the token belongs; the keys that verify tokens are kept. Throws {@link AppError}
   * `unauthorized` or `internal_error`.
   */
  async verifyUserToken(token: string, platform: Platform): Promise<VerifiedUser> {
    const { createTokenVerifier, verifyUserToken } = await loadAuth();
    if (this.verifier?.platform !== platform) {
      this.verifier = createTokenVerifier(platform, this.runtime);
    }
    return await verifyUserToken(token, this.verifier);
  }

  /**
   * Whether the legacy key beside the platform's secret keys has service rights. Throws
   * {@link AppError} `internal_error` when the gateway cannot be asked.
   */
  async legacyKeyCounts(platform: Platform): Promise<boolean> {
    const { url, legacyKey } = platform;
    if (legacyKey === null) return false;
    if (this.legacy?.platform !== platform) {
      const { runtime } = this;
      const key = new LegacyKey(runtime.clock, () => askGateway({ url, legacyKey }, runtime));
      this.legacy = { platform, key };
    }
    return await this.legacy.key.counts();
  }

  /** The last resort for a rejection that nothing handles. Never throws. */
  logUnhandled(reason: unknown): void {
    const log = new RequestLog(this.logger(this.readEnvironment()), this.runtime.clock, "none");
    log.errorEvent("❌ An error was not handled by any request", reason, {
      code: "internal_error",
    });
  }
}

/** State that one feature keeps for the life of an isolate. */
export class PerIsolate<T> {
  private readonly values = new WeakMap<Isolate, T>();

  constructor(private readonly make: () => T) {}

  of(isolate: Isolate): T {
    let value = this.values.get(isolate);
    if (value === undefined) {
      value = this.make();
      this.values.set(isolate, value);
    }
    return value;
  }
}
