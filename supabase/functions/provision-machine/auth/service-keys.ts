/** Who is a service: whoever holds one of the project's secret keys. */
import type { Settings } from "../config/environment.ts";

type KeySettings = Partial<Pick<Settings, "SUPABASE_SECRET_KEYS" | "SUPABASE_SERVICE_ROLE_KEY">>;

/** All keys with service rights, the one to use for our own calls first. */
export function serviceKeys(settings: KeySettings): string[] {
  const secretKeys = settings.SUPABASE_SECRET_KEYS ?? {};
  const { default: preferred, ...others } = secretKeys;
  return [preferred, ...Object.values(others), settings.SUPABASE_SERVICE_ROLE_KEY]
    .filter((key): key is string => key !== undefined && key !== "");
}

/**
 * Whether `candidate` is one of `keys`, in time that says nothing of them: it depends on the
 * candidate's own length and the number of keys alone, since every character is compared with every
 * key, whatever was found before.
 */
export function isServiceKey(candidate: string, keys: string[]): boolean {
  let matches = 0;
  for (const key of keys) {
    let difference = candidate.length ^ key.length;
    for (let i = 0; i < candidate.length; i++) {
      difference |= candidate.charCodeAt(i) ^ key.charCodeAt(i % key.length);
    }
    matches |= Number(difference === 0);
  }
  return matches === 1;
}
