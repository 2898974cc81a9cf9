/**
 * The environment of the function: every variable, its default and what is valid, in one schema.
 * A value that does not parse is reported by name and never replaced by a default.
 */
import { z } from "zod/v3";
import { FLY_REGIONS } from "./fly-regions.ts";

/** Fly.io's published limit of machine creation per app. https://fly.io/docs/machines/api/working-with-machines-api/#rate-limits */
const FLY_CREATE_RATE = { perSecond: 1, burst: 3 };
/** Supabase closes a request that has not answered after 150 s. https://supabase.com/docs/guides/functions/limits */
const PLATFORM_IDLE_LIMIT_SECONDS = 150;
const WEEK_MINUTES = 7 * 24 * 60;

const list = (text: string) => text.split(",").map((item) => item.trim()).filter((item) => item);

/** What lies beyond the bounds is a slip of the pen, and nothing that Postgres could count with. */
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
      // Half of a surrogate pair is no text: it can be sent nowhere and looked for nowhere.
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

/** One entry a variable. `optional()` means not required; the README's table says the same. */
export const ENVIRONMENT = {
  SUPABASE_URL: httpUrl(text),
  SUPABASE_SECRET_KEYS: jsonRecord(text, "expected a JSON object of key names to secret keys")
    .refine((keys) => Object.values(keys).some((key) => key !== ""), "expected at least one key")
    .optional(),
  SUPABASE_SERVICE_ROLE_KEY: text.regex(headerValue, "expected a key").optional(),
  FLY_API_TOKEN: text.regex(headerValue, "expected a token of visible ASCII characters"),
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
  WEBSOCKET_URL_TEMPLATE: text.refine(
    (value) =>
      /^wss?:\/\//.test(value) && value.includes("{machineId}") &&
      URL.canParse(value.replaceAll("{app}", "a").replaceAll("{machineId}", "m")) &&
      !/[{}]/.test(value.replaceAll("{app}", "").replaceAll("{machineId}", "")),
    "expected a ws:// or wss:// URL with {machineId} and, if wanted, {app}",
  ).default("wss://{app}.fly.dev/machines/{machineId}"),
  MAX_MACHINES_PER_USER: positiveInteger(text).default("1"),
  PROVISION_TIMEOUT_SECONDS: positiveNumber(text, { atLeast: 1 }).refine(
    (seconds) => seconds < PLATFORM_IDLE_LIMIT_SECONDS,
    `expected less than ${PLATFORM_IDLE_LIMIT_SECONDS} seconds, the platform's limit`,
  ).default("120"),
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
  LOG_LEVEL: z.enum(["debug", "info", "warning", "error"], {
    message: "expected debug, info, warning or error",
  }).default("info"),
  LOG_FORMAT: z.enum(["json", "text"], { message: "expected json or text" }).default("json"),
} as const;

const SCHEMA = z.object(ENVIRONMENT);

export type VariableName = keyof typeof ENVIRONMENT;
/** The environment once it has been parsed; the keys are the variables' own names. */
export type Settings = z.output<typeof SCHEMA>;

/** What is wrong with one variable. */
export interface EnvironmentProblem {
  variable: VariableName;
  kind: "missing" | "invalid";
  /** Why it is invalid; never its value. */
  reason: string;
}

export interface Environment {
  /** The variables that could be parsed, defaults included. */
  settings: Partial<Settings>;
  /** In the order of {@link ENVIRONMENT}. */
  problems: EnvironmentProblem[];
}

/**
 * Parses the environment. A variable that is set to nothing but white space counts as missing:
 * that is what an unset secret looks like in a CI file. Never throws.
 */
export function parseEnvironment(env: Record<string, string | undefined>): Environment {
  const settings: Record<string, unknown> = {};
  const problems: EnvironmentProblem[] = [];
  for (const [name, schema] of Object.entries(ENVIRONMENT)) {
    const variable = name as VariableName;
    const value = env[variable]?.trim() || undefined;
    const parsed = schema.safeParse(value);
    if (parsed.success) {
      if (parsed.data !== undefined) settings[variable] = parsed.data;
    } else {
      problems.push({
        variable,
        kind: value === undefined ? "missing" : "invalid",
        reason: value === undefined ? "not set" : parsed.error.issues[0]?.message ?? "not valid",
      });
    }
  }
  return { settings, problems: [...problems, ...crossProblems(settings, problems)] };
}

/** What no single variable shows. */
function crossProblems(
  settings: Partial<Settings>,
  problems: EnvironmentProblem[],
): EnvironmentProblem[] {
  const found: EnvironmentProblem[] = [];
  const broken = (variable: VariableName) => problems.some((p) => p.variable === variable);
  const { FLY_REGION, FLY_REGIONS, SUPABASE_SECRET_KEYS, SUPABASE_SERVICE_ROLE_KEY } = settings;
  if (
    !SUPABASE_SECRET_KEYS && !SUPABASE_SERVICE_ROLE_KEY && !broken("SUPABASE_SECRET_KEYS") &&
    !broken("SUPABASE_SERVICE_ROLE_KEY")
  ) {
    found.push({
      variable: "SUPABASE_SERVICE_ROLE_KEY",
      kind: "missing",
      reason: "neither SUPABASE_SECRET_KEYS nor SUPABASE_SERVICE_ROLE_KEY is set",
    });
  }
  if (FLY_REGION && FLY_REGIONS && !FLY_REGIONS.includes(FLY_REGION)) {
    found.push({
      variable: "FLY_REGION",
      kind: "invalid",
      reason: "expected one of FLY_REGIONS",
    });
  }
  return found;
}
