/** From the variables' texts to settings, and to what is wrong with them. */
import {
  ENVIRONMENT,
  type Environment,
  type EnvironmentProblem,
  type EnvironmentTexts,
  type IncompleteEnvironment,
  type Platform,
  PLATFORM_VARIABLES,
  SCHEMA,
  type Settings,
  type VariableName,
} from "./environment.ts";

/**
 * Parses the environment. A variable that is set to nothing but white space counts as missing:
 * that is what an unset secret looks like in a CI file. Never throws.
 */
export function parseEnvironment(texts: EnvironmentTexts): Environment {
  const values: EnvironmentTexts = {};
  for (const name of Object.keys(ENVIRONMENT)) values[name] = texts[name]?.trim() || undefined;
  // A project that never made new keys may be given an empty object.
  if (/^\{\s*\}$/.test(values["SUPABASE_SECRET_KEYS"] ?? "")) {
    values["SUPABASE_SECRET_KEYS"] = undefined;
  }

  const whole = SCHEMA.safeParse(values);
  const platform = whole.success ? platformOf(whole.data) : null;
  if (whole.success && platform !== null && crossProblems(whole.data, []).length === 0) {
    return { complete: true, texts, platform, settings: whole.data, problems: [] };
  }
  return { complete: false, texts, ...parseEachVariable(values) };
}

function parseEachVariable(
  values: EnvironmentTexts,
): Pick<IncompleteEnvironment, "settings" | "platform" | "problems"> {
  const settings: Record<string, unknown> = {};
  const found: EnvironmentProblem[] = [];
  for (const [name, schema] of Object.entries(ENVIRONMENT)) {
    const variable = name as VariableName;
    const parsed = schema.safeParse(values[variable]);
    if (parsed.success) {
      if (parsed.data !== undefined) settings[variable] = parsed.data;
    } else {
      const missing = values[variable] === undefined;
      found.push({
        variable,
        kind: missing ? "missing" : "invalid",
        reason: missing ? "not set" : parsed.error.issues[0]?.message ?? "not valid",
      });
    }
  }
  const [first = SUPABASE_URL_MISSING, ...others] = [...found, ...crossProblems(settings, found)];
  const problems = [first, ...others] as const;
  const reachable = !problems.some(({ variable }) => PLATFORM_VARIABLES.includes(variable));
  return { settings, platform: reachable ? platformOf(settings) : null, problems };
}

const SUPABASE_URL_MISSING: EnvironmentProblem = {
  variable: "SUPABASE_URL",
  kind: "missing",
  reason: "not set",
};

/** What no single variable shows. */
function crossProblems(
  settings: Partial<Settings>,
  problems: EnvironmentProblem[],
): EnvironmentProblem[] {
  const found: EnvironmentProblem[] = [];
  const broken = (variable: VariableName) => problems.some((p) => p.variable === variable);
  const { FLY_REGION, FLY_REGIONS, SUPABASE_SECRET_KEYS, SUPABASE_SERVICE_ROLE_KEY } = settings;
  const { FLY_ORG_SLUG, FLY_APP_NAME = [], MACHINE_AUTOSTOP } = settings;
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
  if (
    FLY_ORG_SLUG && !broken("FLY_APP_NAME") && !/^[a-z][a-z0-9-]{0,39}$/.test(FLY_APP_NAME.join())
  ) {
    found.push({
      variable: "FLY_APP_NAME",
      kind: "invalid",
      reason:
        "expected, with FLY_ORG_SLUG, one name that starts with a letter, of at most 40 characters",
    });
  }
  // In a shared app the proxy would wake any user's machine for a connection.
  if (!FLY_ORG_SLUG && !broken("FLY_ORG_SLUG") && (MACHINE_AUTOSTOP ?? "off") !== "off") {
    found.push({
      variable: "MACHINE_AUTOSTOP",
      kind: "invalid",
      reason: "expected off without FLY_ORG_SLUG: idle machines stop only in apps of their own",
    });
  }
  if (!FLY_ORG_SLUG && !broken("FLY_ORG_SLUG") && (settings.POOL_SIZE ?? 0) > 0) {
    found.push({
      variable: "POOL_SIZE",
      kind: "invalid",
      reason: "expected 0 without FLY_ORG_SLUG: the pool's machines need apps of their own",
    });
  }
  if (
    (settings.POOL_SIZE ?? 0) > 0 && settings.POOL_STATE === "started" &&
    (MACHINE_AUTOSTOP ?? "off") !== "off"
  ) {
    found.push({
      variable: "POOL_STATE",
      kind: "invalid",
      reason: "expected stopped with MACHINE_AUTOSTOP: nobody is connected to a machine that waits",
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

function platformOf(settings: Partial<Settings>): Platform | null {
  const { SUPABASE_URL: url, SUPABASE_SECRET_KEYS = {}, SUPABASE_SERVICE_ROLE_KEY } = settings;
  const { default: preferred, ...others } = SUPABASE_SECRET_KEYS;
  const secretKeys = [preferred, ...Object.values(others)].filter((key) => key !== undefined)
    .filter((key) => key !== "");
  const legacyKey = SUPABASE_SERVICE_ROLE_KEY ?? null;
  const [first = legacyKey, ...rest] = secretKeys;
  if (url === undefined || first === null) return null;
  return {
    url,
    serviceKeys: [first, ...rest],
    // Alone it is the project's only key; a project may also keep it among its secret keys.
    legacyKey: secretKeys.length === 0 || secretKeys.includes(legacyKey ?? "") ? null : legacyKey,
    projectHost: projectHostOf(url),
  };
}

/** Loopback, and the gateway's name in every `supabase functions serve` and self-hosted stack. */
const SHARED_HOSTS =
  /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\]|0\.0\.0\.0|kong|host\.docker\.internal)$/;

function projectHostOf(url: string): string | null {
  const { hostname } = new URL(url);
  return SHARED_HOSTS.test(hostname) ? null : hostname;
}
