/** `config.json`, served beside the page: where the project is. */
import * as z from "zod/mini";

const Config = z.strictObject({
  /** `https://<project>.supabase.co` */
  supabaseUrl: z.url({ protocol: /^https?$/ }),
  publishableKey: z.string().check(z.minLength(1)),
  functionName: z._default(z.string().check(z.regex(/^[A-Za-z][\w-]*$/)), "provision-machine"),
  /** Where machines answer, as sources of a Content-Security-Policy. */
  machineOrigins: z._default(
    z.array(z.string().check(z.regex(/^wss?:\/\/[\w.*:-]+$/))),
    ["wss://*.fly.dev"],
  ),
  /** The regions to offer, if not all of Fly.io's. */
  regions: z.optional(z.array(z.string())),
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

/** @throws Error that names what is wrong with which setting */
export function parseConfig(value: unknown): ConsoleConfig {
  const parsed = Config.safeParse(value);
  if (parsed.success) {
    return { ...parsed.data, supabaseUrl: parsed.data.supabaseUrl.replace(/\/+$/, "") };
  }
  const issues = parsed.error.issues.map(({ path, message }) =>
    path.length > 0 ? `${path.join(".")}: ${message}` : message
  );
  throw new Error(`config.json is not valid: ${issues.join("; ")}`);
}

/** The function's address. */
export function functionUrl({ supabaseUrl, functionName }: ConsoleConfig): string {
  return `${supabaseUrl}/functions/v1/${functionName}`;
}
