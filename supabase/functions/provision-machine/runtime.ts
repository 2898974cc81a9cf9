/**
 * What the function takes from outside. Everything that differs between the hosted platform, a
 * test and a simulation comes in through here, so that no other file touches a global.
 */

/** Wall-clock time and waiting. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Runs `callback` in `ms` milliseconds, unless the function returned is called before. */
  after(ms: number, callback: () => void): () => void;
}

export interface Runtime {
  /** An environment variable as it is now. */
  env(name: string): string | undefined;
  fetch: typeof fetch;
  clock: Clock;
  /** Cryptographically random bytes. */
  randomBytes(length: number): Uint8Array;
  randomUUID(): string;
  /** Uniform in [0, 1), for jitter. */
  random(): number;
  sha256(text: string): Promise<Uint8Array>;
  /** Of the UTF-8 of both. */
  hmacSha256(key: string, text: string): Promise<Uint8Array>;
  /** Keeps the isolate alive until `work` settles, after the response has been sent. */
  waitUntil(work: Promise<unknown>): void;
}

/** A clock on the system's timers. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * `EdgeRuntime.waitUntil` of Supabase's edge runtime.
 * https://supabase.com/docs/guides/functions/background-tasks
 */
declare const EdgeRuntime: { waitUntil(work: Promise<unknown>): void } | undefined;

/** The runtime of a deployed function, and of `deno run`, where `EdgeRuntime` does not exist. */
export const platformRuntime: Runtime = {
  env: (name) => Deno.env.get(name),
  fetch: (input, init) => fetch(input, init),
  clock: systemClock,
  randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  randomUUID: () => crypto.randomUUID(),
  random: Math.random,
  sha256: async (text) => new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(text))),
  hmacSha256: async (key, text) => {
    const hmac = { name: "HMAC", hash: "SHA-256" };
    const imported = await crypto.subtle.importKey("raw", utf8(key), hmac, false, ["sign"]);
    return new Uint8Array(await crypto.subtle.sign(hmac, imported, utf8(text)));
  },
  waitUntil(work) {
    // Without the platform's global the process itself lives on, so there is nothing to do.
    if (typeof EdgeRuntime !== "undefined") EdgeRuntime.waitUntil(work);
  },
};

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Loads something when it is first needed, and again only if that failed. */
export function lazy<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | undefined;
  return () =>
    loading ??= load().catch((error) => {
      loading = undefined;
      throw error;
    });
}
