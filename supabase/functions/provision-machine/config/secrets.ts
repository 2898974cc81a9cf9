import type { Environment } from "./environment.ts";

/** Every secret that the environment holds, for the redactor. */
export function secretsOf({ texts, settings }: Environment): string[] {
  const token = texts["FLY_API_TOKEN"]?.trim() ?? "";
  return [
    token,
    // A macaroon is several tokens joined by commas; each is worth stealing.
    ...token.replace(/^FlyV1 /, "").split(","),
    texts["SUPABASE_SECRET_KEYS"] ?? "",
    ...Object.values(settings.SUPABASE_SECRET_KEYS ?? {}),
    texts["SUPABASE_SERVICE_ROLE_KEY"]?.trim() ?? "",
    texts["SUPABASE_DB_URL"] ?? "",
    texts["ALERT_WEBHOOK_URL"]?.trim() ?? "",
    texts["CONNECT_TOKEN_SECRET"]?.trim() ?? "",
    ...Object.values(settings.MACHINE_ENV ?? {}),
  ];
}
