import type { Settings } from "../config/environment.ts";

/** Every secret that the settings hold, for the {@link Redactor}. */
export function secretsOf(
  env: Record<string, string | undefined>,
  settings: Partial<Settings>,
): string[] {
  const token = env["FLY_API_TOKEN"]?.trim() ?? "";
  return [
    token,
    // A macaroon is several tokens joined by commas; each is worth stealing.
    ...token.replace(/^FlyV1 /, "").split(","),
    env["SUPABASE_SECRET_KEYS"] ?? "",
    ...Object.values(settings.SUPABASE_SECRET_KEYS ?? {}),
    env["SUPABASE_SERVICE_ROLE_KEY"]?.trim() ?? "",
    env["SUPABASE_DB_URL"] ?? "",
    env["ALERT_WEBHOOK_URL"]?.trim() ?? "",
    ...Object.values(settings.MACHINE_ENV ?? {}),
  ];
}
