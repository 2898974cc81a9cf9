/** `config.json`, served beside the page: where the project is. */
import * as z from "zod/mini";

const SECRET =
  "is a secret key, which would be published with the page: use the publishable (or anon) key";

const Config = z.strictObject({
  /** `https://<project>.supabase.co` */
  supabaseUrl: z.url({ protocol: /^https?$/, error: "must be a URL with https:// or http://" }),
  publishableKey: z.string().check(
    z.minLength(1),
    z.refine((key) => !isSecretKey(key), { error: SECRET }),
  ),
  functionName: z._default(z.string().check(z.regex(/^[A-Za-z][\w-]*$/)), "provision-machine"),
  /** Where machines listen, as sources of a Content-Security-Policy. */
  machineOrigins: z._default(
    z.array(
      z.string().check(
        z.regex(/^wss?:\/\/[\w.*:-]+$/, { error: "must look like wss://host, without a path" }),
      ),
    ),
    ["wss://*.fly.dev"],
  ),
  /** The regions to offer, if not all of Fly.io's. */
  regions: z.optional(z.array(z.string())),
  /** The service's MAX_MACHINES_PER_USER, for the button to know it beforehand. */
  machinesPerUser: z.optional(z.int().check(z.minimum(1))),
  /**
   * Where an operator's requests go, if not straight to the project. The console's own server sets
   * it: hosted Supabase refuses secret keys that come from a browser.
   */
  operatorUrl: z.optional(z.string()),
});

/** `config.json` as it is written. */
export type ConsoleConfigInput = z.input<typeof Config>;
/** `config.json` with its defaults. */
export type ConsoleConfig = z.output<typeof Config>;

/** What is wrong with one setting. */
export interface ConfigIssue {
  setting: string;
  message: string;
}

/** Names every wrong setting; never its value, which may be a secret. */
export class ConfigError extends Error {
  override name = "ConfigError";
  constructor(readonly issues: ConfigIssue[]) {
    const texts = issues.map(({ setting, message }) =>
      setting ? `${setting}: ${message}` : message
    );
    super(`config.json is not valid: ${texts.join("; ")}`);
  }
}

/** @throws {ConfigError} */
export function parseConfig(value: unknown): ConsoleConfig {
  const parsed = Config.safeParse(value);
  if (parsed.success) {
    return { ...parsed.data, supabaseUrl: parsed.data.supabaseUrl.replace(/\/+$/, "") };
  }
  throw new ConfigError(
    parsed.error.issues.map(({ path, message }) => ({ setting: String(path[0] ?? ""), message })),
  );
}

/**
 * Whether a key bypasses row level security: a secret key, or a legacy JWT of the service role.
 * https://supabase.com/docs/guides/api/api-keys
 */
export function isSecretKey(key: string): boolean {
  return key.trim().startsWith("sb_secret_") || roleOf(key) === "service_role";
}

/** The role in a JWT's payload; undefined if it is not a JWT. */
function roleOf(key: string): unknown {
  const [, payload, signature] = key.trim().split(".");
  if (payload === undefined || signature === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
    return typeof claims === "object" && claims !== null && "role" in claims
      ? claims.role
      : undefined;
  } catch {
    // Not base64 or not JSON, hence not a JWT.
    return undefined;
  }
}
