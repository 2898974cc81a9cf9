/**
 * The environment of the function: every variable, its default and what is valid, in one schema.
 * A value that does not parse is reported by name and never replaced by a default.
 */
import { z } from "zod/v3";

/**
 * Fly.io's regions for new machines. https://fly.io/docs/reference/regions/ without `bom`, which has
 * taken none since 2026-08-17.
 */
// deno-fmt-ignore
export const FLY_REGIONS = [
  "ams", "arn", "cdg", "dfw", "ewr", "fra", "gru", "iad", "jnb",
  "lax", "lhr", "nrt", "ord", "sin", "sjc", "syd", "yyz",
] as const;

/** Fly.io's published limit of machine creation per app. https://fly.io/docs/machines/api/working-with-machines-api/#rate-limits */
const FLY_CREATE_RATE = { perSecond: 1, burst: 3 };
/**
 * Supabase closes a request that has not answered after 150 s, and guarantees 75 s on its free plan,
 * which the default stays below. https://supabase.com/docs/guides/functions/limits
 */
const PLATFORM_IDLE_LIMIT_SECONDS = 150;
/** As the router in examples/ requires it. */
const MIN_SECRET_CHARACTERS = 32;
const WEEK_MINUTES = 7 * 24 * 60;

const list = (text: string) => text.split(",").map((item) => item.trim()).filter((item) => item);

/** Values out of range are typos; Postgres could not store them. */
const positiveNumber = (text: z.ZodString, { atLeast = 0, atMost = 1_000_000 } = {}) => {
  const expected = "expected a positive number" +
    (atLeast > 0 ? `, at least ${atLeast}` : "") +
    (atMost < 1_000_000 ? `, at most ${atMost}` : "");
  return text.regex(/^\d+(\.\d+)?$/, expected).transform(Number)
    .refine((value) => value > 0 && value >= atLeast && value <= atMost, expected);
};
const positiveInteger = (text: z.ZodString) =>
  text.regex(/^\d+$/, "expected a positive whole number").transform(Number)
    .refine((value) => value > 0 && value <= 1_000_000, "expected a positive whole number");
const httpUrl = (text: z.ZodString) =>
  text.refine(
    (value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol),
    "expected a URL with http or https",
  ).transform((value) => value.replace(/\/+$/, ""));
const jsonRecord = (text: z.ZodString, expected: string) =>
  text.transform((value, context): Record<string, string> => {
    try {
      const parsed = z.record(z.string(), z.string()).safeParse(JSON.parse(value));
      // Half of a surrogate pair can neither be sent nor redacted.
      if (parsed.success && Object.values(parsed.data).every((text) => text.isWellFormed())) {
        return parsed.data;
      }
    } catch {
      // Not JSON at all: reported below with the same words.
    }
    context.addIssue({ code: "custom", message: expected });
    return z.NEVER;
  });
const headerValue = /^[\x21-\x7e]+( [\x21-\x7e]+)*$/;
const text = z.string();
const flyAppName = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const flyRegion = /^[a-z]{3}$/;

/** One entry per variable. `optional()` means not required; docs/OPERATIONS.md has the same table. */
export const ENVIRONMENT = {
  SUPABASE_URL: httpUrl(text),
  SUPABASE_SECRET_KEYS: jsonRecord(text, "expected a JSON object of key names to secret keys")
    .refine((keys) => Object.values(keys).some((key) => key !== ""), "expected at least one key")
    .optional(),
  SUPABASE_SERVICE_ROLE_KEY: text.regex(headerValue, "expected a key").optional(),
  FLY_API_TOKEN: text.regex(headerValue, "expected a token of visible ASCII characters")
    .refine((token) => !/^["'`]|["'`]$/.test(token), "expected a token without quotes around it")
    .refine((token) => !/^Bearer /i.test(token), "expected a token without Bearer in front of it"),
  /** One app, or several: Fly.io limits creation per app, so each adds its own rate. */
  FLY_APP_NAME: text.transform(list).refine(
    (names) => names.length > 0 && names.every((name) => flyAppName.test(name)),
    "expected the name of a Fly app (lower-case letters, digits, hyphens), or a comma-separated list",
  ).transform((names) => [...new Set(names)]),
  DOCKER_IMAGE: text.regex(/^[\w.\-/:@]+$/, "expected an image reference"),
  FLY_API_HOSTNAME: httpUrl(text).default("https://api.machines.dev"),
  FLY_REGION: text.regex(flyRegion, "expected a region code of three letters").default("iad"),
  FLY_REGIONS: text.transform(list).refine(
    (regions) => regions.length > 0 && regions.every((region) => flyRegion.test(region)),
    "expected a comma-separated list of region codes of three letters",
  ).default(FLY_REGIONS.join(",")),
  FLY_REGION_FALLBACK: z.enum(["true", "false"], { message: "expected true or false" })
    .transform((value) => value === "true").default("false"),
  MACHINE_PORT: positiveInteger(text).refine((port) => port <= 65535, "expected a port")
    .default("8080"),
  MACHINE_ENV: jsonRecord(text, "expected a JSON object of strings").default("{}"),
  /** What Fly Proxy does with an idle machine; it starts it again at the next connection. */
  MACHINE_AUTOSTOP: z.enum(["off", "stop", "suspend"], { message: "expected off, stop or suspend" })
    .default("off"),
  /** Every machine's `CONNECT_KEY` is derived from it; without it there are no connect tokens. */
  CONNECT_TOKEN_SECRET: text.refine(
    (secret) => secret.length >= MIN_SECRET_CHARACTERS,
    `expected at least ${MIN_SECRET_CHARACTERS} characters`,
  ).optional(),
  /** An app of its own for each machine, in this organisation. */
  FLY_ORG_SLUG: text.regex(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    "expected an organisation's slug",
  )
    .optional(),
  /** A router app in front of all machines. */
  FLY_ROUTER_URL: text.refine(
    (value) => /^wss?:\/\//.test(value) && URL.canParse(value) && !/[?#]/.test(value),
    "expected a ws:// or wss:// URL without a query",
  ).transform((value) => value.replace(/\/+$/, "")).optional(),
  WEBSOCKET_URL_TEMPLATE: text.refine(
    (value) => {
      const filled = value.replaceAll(/\{(app|machineId|flyMachineId)\}/g, "a");
      return /^wss?:\/\//.test(value) && filled !== value && URL.canParse(filled) &&
        !/[{}]/.test(filled);
    },
    "expected a ws:// or wss:// URL with {app}, {machineId} or {flyMachineId}",
  ).optional(),
  /** Machines that stand by for the next claims; 0: none. */
  POOL_SIZE: text.regex(/^\d+$/, "expected a whole number").transform(Number)
    .refine((value) => value <= 10_000, "expected at most 10000").default("0"),
  /** A stopped machine costs its disk alone and starts in a moment; a started one is there. */
  POOL_STATE: z.enum(["stopped", "started"], { message: "expected stopped or started" })
    .default("stopped"),
  MAX_MACHINES: positiveInteger(text).default("100"),
  MAX_MACHINES_PER_USER: positiveInteger(text).default("1"),
  MAX_PROVISIONS_PER_USER_PER_HOUR: positiveInteger(text).default("20"),
  ALLOW_ANONYMOUS_USERS: z.enum(["true", "false"], { message: "expected true or false" })
    .transform((value) => value === "true").default("false"),
  /** Reconcile destroys machines that are older. */
  MACHINE_MAX_LIFETIME_HOURS: positiveNumber(text, { atMost: 10 * 365 * 24 }).optional(),
  /** A sentence for callers: no new machines. */
  PROVISIONING_PAUSED: text.optional(),
  PROVISION_TIMEOUT_SECONDS: positiveNumber(text, { atLeast: 1 }).refine(
    (seconds) => seconds < PLATFORM_IDLE_LIMIT_SECONDS,
    `expected less than ${PLATFORM_IDLE_LIMIT_SECONDS} seconds, the platform's limit`,
  ).default("70"),
  FLY_REQUEST_TIMEOUT_SECONDS: positiveNumber(text).default("30"),
  FLY_RATE_PER_SECOND: positiveNumber(text, { atLeast: 0.001 }).default(
    String(FLY_CREATE_RATE.perSecond),
  ),
  FLY_RATE_BURST: positiveInteger(text).default(String(FLY_CREATE_RATE.burst)),
  ALERT_WEBHOOK_URL: httpUrl(text).optional(),
  ALERT_FAILURE_THRESHOLD: positiveInteger(text).default("3"),
  ALERT_WINDOW_MINUTES: positiveNumber(text, { atMost: WEEK_MINUTES }).default("10"),
  ALERT_COOLDOWN_MINUTES: positiveNumber(text, { atMost: WEEK_MINUTES }).default("30"),
  ALLOWED_ORIGINS: text.transform(list).refine(
    (origins) =>
      origins.length > 0 &&
      origins.every((origin) =>
        origin === "*" || (URL.canParse(origin) && new URL(origin).origin === origin)
      ),
    "expected * or a comma-separated list of origins such as https://app.example.com",
  ).default("*"),
  /** Which code answers, for example a commit: deploy.yml sets it. */
  RELEASE: text.regex(/^[\w.+-]{1,64}$/, "expected at most 64 letters, digits, dots and hyphens")
    .optional(),
  LOG_LEVEL: z.enum(["debug", "info", "warning", "error"], {
    message: "expected debug, info, warning or error",
  }).default("info"),
  LOG_FORMAT: z.enum(["json", "text"], { message: "expected json or text" }).default("json"),
} as const;

export const SCHEMA = z.object(ENVIRONMENT);

export type VariableName = keyof typeof ENVIRONMENT;
/** The environment once it has been parsed; the keys are the variables' own names. */
export type Settings = z.output<typeof SCHEMA>;

/** What is wrong with one variable. Its value is not part of it: that may be a secret. */
export interface EnvironmentProblem {
  variable: VariableName;
  kind: "missing" | "invalid";
  reason: string;
}

/** The variables as they were read. */
export type EnvironmentTexts = Record<string, string | undefined>;

/** Without these no caller can be identified and no row can be written. */
export const PLATFORM_VARIABLES: readonly VariableName[] = [
  "SUPABASE_URL",
  "SUPABASE_SECRET_KEYS",
  "SUPABASE_SERVICE_ROLE_KEY",
];

/** What leads to the database and to the Auth server. */
export interface Platform {
  url: string;
  /** Every key that has service rights in any case, the one for our own calls first. */
  serviceKeys: readonly [string, ...string[]];
  /** The legacy key beside them, which may have been disabled; null: there is none. */
  legacyKey: string | null;
  /** Identifies the project; null for the names that every local stack shares. */
  projectHost: string | null;
}

/** Every variable is valid. */
export interface CompleteEnvironment {
  complete: true;
  texts: EnvironmentTexts;
  platform: Platform;
  settings: Settings;
  problems: readonly [];
}

/** At least one is not; `settings` has those that are, defaults included. */
export interface IncompleteEnvironment {
  complete: false;
  texts: EnvironmentTexts;
  /** Null when the platform's own settings do not lead to a database. */
  platform: Platform | null;
  settings: Partial<Settings>;
  /** In the order of {@link ENVIRONMENT}. */
  problems: readonly [EnvironmentProblem, ...EnvironmentProblem[]];
}

export type Environment = CompleteEnvironment | IncompleteEnvironment;
