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
 * Whether `candidate` is one of `keys`, in time that depends on neither: digests have one length,
 * every byte of each is compared, and no match ends the search.
 */
export async function isServiceKey(candidate: string, keys: string[]): Promise<boolean> {
  const wanted = await sha256(candidate);
  let matches = 0;
  for (const key of keys) {
    const digest = await sha256(key);
    let difference = 0;
    for (let i = 0; i < digest.length; i++) difference |= (digest[i] ?? 0) ^ (wanted[i] ?? 0);
    matches |= Number(difference === 0);
  }
  return matches === 1;
}

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}
