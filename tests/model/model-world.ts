/**
 * What all schedules share: one database, one set of users and tokens, the captured console. Making
 * these again for each schedule would take seconds; a schedule takes a tenth of one.
 */
import { generateSigningKey, mintUserToken } from "../../dev/stack/supabase/mod.ts";
import { SecretFinder } from "../invariants/secrets.ts";
import { ModelDatabase } from "./model-database.ts";
import { OtherInstallation } from "./other-installation.ts";
import { REGIONS, WEBHOOK_URL } from "./upstreams.ts";
import { USERS } from "./schedule.ts";
import type { VirtualClock } from "../../dev/stack/clock.ts";
import { trackCrypto } from "./track-crypto.ts";

/** What must never surface anywhere (I6). */
const FLY_TOKEN = "fo1_canary-fly-token-0123456789abcdef";
const CONNECT_SECRET = "canary-connect-token-secret-0123456789";
const MACHINE_SECRET = "canary-machine-env-0123456789abcdef";

/** One line that the function printed. */
export interface LogLine {
  method: string;
  line: string;
}

const CONSOLE_METHODS = ["debug", "info", "log", "warn", "error"] as const;

export class ModelWorld implements AsyncDisposable {
  /** Set while a schedule runs. */
  time: VirtualClock | undefined;
  lines: LogLine[] = [];
  /** Rejections that were not handled. */
  unhandled: unknown[] = [];
  readonly #undo: (() => void)[] = [];
  #other: OtherInstallation | undefined;

  /** Everything that must not surface. */
  readonly secrets = new SecretFinder();

  private constructor(
    readonly database: ModelDatabase,
    readonly tokens: readonly string[],
  ) {
    const { secretKey, serviceRoleKey } = database.stack;
    this.secrets.add("FLY_API_TOKEN", FLY_TOKEN);
    this.secrets.add("MACHINE_ENV", MACHINE_SECRET);
    this.secrets.add("ALERT_WEBHOOK_URL", WEBHOOK_URL.slice("https://hooks.example.com/".length));
    this.secrets.add("CONNECT_TOKEN_SECRET", CONNECT_SECRET);
    this.secrets.add("secret key", secretKey);
    this.secrets.add("service_role key", serviceRoleKey);
    // Each is a thousand parts to search for; what would print one would print these.
    for (const [n, token] of tokens.slice(0, USERS).entries()) {
      this.secrets.add(`access token of user ${n}`, token);
    }
  }

  /** @param users How many users there are to be. */
  static async open(users = USERS): Promise<ModelWorld> {
    const signingKey = await generateSigningKey();
    const database = await ModelDatabase.start(signingKey);
    // supabase-js compares the expiry to the real time.
    const tokens = await Promise.all(
      Array.from(
        { length: users },
        (_, index) =>
          mintUserToken({ userId: userId(index), key: signingKey, expiresInSeconds: 100_000 }),
      ),
    );
    const world = new ModelWorld(database, tokens);
    world.#undo.push(trackCrypto(() => world.time));
    return world;
  }

  /** The function's environment before the schedule's settings. */
  environment(): Record<string, string> {
    const { url, secretKey, serviceRoleKey } = this.database.stack;
    return {
      SUPABASE_URL: url,
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: secretKey }),
      SUPABASE_SERVICE_ROLE_KEY: serviceRoleKey,
      FLY_API_TOKEN: FLY_TOKEN,
      CONNECT_TOKEN_SECRET: CONNECT_SECRET,
      DOCKER_IMAGE: "registry.fly.io/model-app:latest",
      FLY_REGIONS: REGIONS.join(","),
      MACHINE_ENV: JSON.stringify({ CANARY: MACHINE_SECRET }),
    };
  }

  /** Another installation that has seen nothing yet; it is made when it is first needed. */
  async otherInstallation(): Promise<OtherInstallation> {
    this.#other ??= await OtherInstallation.open();
    await this.#other.reset();
    return this.#other;
  }

  get flyToken(): string {
    return FLY_TOKEN;
  }

  /** Runs `work` with an empty database, its own time, and everything printed captured. */
  async during<T>(time: VirtualClock, work: () => Promise<T>): Promise<T> {
    await this.database.reset(this.tokens.map((_, index) => userId(index)));
    this.lines = [];
    this.unhandled = [];
    this.time = time;
    const sink = globalThis.console;
    const originals = CONSOLE_METHODS.map((method) => [method, sink[method]] as const);
    for (const method of CONSOLE_METHODS) {
      sink[method] = (...parts: unknown[]) => {
        // What the local stack prints while it works is not the function's.
        if (this.database.performing || this.#other?.performing) return;
        this.lines.push({ method, line: parts.map(String).join(" ") });
      };
    }
    const onUnhandled = (event: PromiseRejectionEvent) => {
      event.preventDefault();
      this.unhandled.push(event.reason);
    };
    globalThis.addEventListener("unhandledrejection", onUnhandled);
    try {
      return await work();
    } finally {
      globalThis.removeEventListener("unhandledrejection", onUnhandled);
      for (const [method, original] of originals) sink[method] = original;
      this.time = undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const undo of this.#undo) undo();
    await this.database.stack.close();
    await this.#other?.[Symbol.asyncDispose]();
  }
}

/** The id of user number `index`. */
export function userId(index: number): string {
  return `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;
}
