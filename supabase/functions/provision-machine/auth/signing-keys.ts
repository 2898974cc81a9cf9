/**
 * The keys with which the project signs access tokens, as Supabase Auth publishes them. auth-js keeps
 * them too, but fetches them again for every token that names a key it does not know.
 * https://supabase.com/docs/guides/auth/signing-keys
 */
import { z } from "zod/v3";
import type { Clock } from "../runtime.ts";

/** A new key is published long before it signs; a revoked one is trusted for so long at most. */
const KEPT_MS = 600_000;
/** Anybody can make up the name of a key: that alone fetches them no more often. */
const FETCH_AGAIN_AFTER_MS = 30_000;
const RETRY_AFTER_MS = 2_000;

/** What is read of a key; the rest is for the cryptography. https://www.rfc-editor.org/rfc/rfc7517 */
const Key = z.object({
  kid: z.string(),
  kty: z.string(),
  key_ops: z.array(z.string()).default(["verify"]),
}).passthrough();
type Key = z.output<typeof Key>;

const KeySet = z.object({
  keys: z.array(z.unknown()).transform((keys) =>
    keys.flatMap((key) => {
      const { success, data } = Key.safeParse(key);
      return success ? [data] : [];
    })
  ),
});

export class SigningKeys {
  private keys: readonly Key[] = [];
  /** Milliseconds since the epoch. */
  private fetchedAt = -Infinity;
  private failure: { at: number; error: unknown } | null = null;
  private loading: Promise<void> | null = null;

  /** `fetchKeys` resolves with the key set as JSON. */
  constructor(
    private readonly clock: Pick<Clock, "now">,
    private readonly fetchKeys: () => Promise<unknown>,
  ) {}

  /** The key of this name, or undefined. Rejects when it is not known and cannot be asked for. */
  async find(kid: string): Promise<Key | undefined> {
    const known = this.keys.find((key) => key.kid === kid);
    if (this.age() < (known === undefined ? FETCH_AGAIN_AFTER_MS : KEPT_MS)) return known;
    try {
      await this.refresh();
    } catch (error) {
      // While Auth is down, those whom it has let in before are let in.
      if (known === undefined) throw error;
      return known;
    }
    return this.keys.find((key) => key.kid === kid);
  }

  /** Whether the project signs with keys of its own. Rejects when that cannot be asked. */
  async any(): Promise<boolean> {
    if (this.age() >= (this.keys.length > 0 ? KEPT_MS : FETCH_AGAIN_AFTER_MS)) await this.refresh();
    return this.keys.length > 0;
  }

  private age(): number {
    return this.clock.now() - this.fetchedAt;
  }

  /** One fetch at a time, and none soon after one that failed. */
  private async refresh(): Promise<void> {
    if (this.failure !== null && this.clock.now() - this.failure.at < RETRY_AFTER_MS) {
      throw this.failure.error;
    }
    this.loading ??= this.load().finally(() => this.loading = null);
    await this.loading;
  }

  private async load(): Promise<void> {
    try {
      this.keys = KeySet.parse(await this.fetchKeys()).keys;
      this.fetchedAt = this.clock.now();
      this.failure = null;
    } catch (error) {
      this.failure = { at: this.clock.now(), error };
      throw error;
    }
  }
}
