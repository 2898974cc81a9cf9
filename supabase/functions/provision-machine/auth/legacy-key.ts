/**
 * Whether the legacy service_role key still counts beside secret keys. Once an operator has disabled
 * the legacy keys the project's gateway refuses them, but the platform goes on putting the old one into
 * the environment (https://github.com/supabase/supabase/issues/37648): only the gateway can tell.
 */
import { AppError } from "../errors.ts";
import type { Clock, Runtime } from "../runtime.ts";
import { withTimeout } from "../time.ts";

/** The gateway is asked no more often, and a key that was disabled counts no longer. */
const KEPT_MS = 60_000;
/** While the gateway does not answer, what it said last goes for so long; then nobody is let in. */
const KEPT_WITHOUT_ANSWER_MS = 600_000;
const RETRY_AFTER_MS = 2_000;
const TIMEOUT_MS = 10_000;

export class LegacyKey {
  /** Milliseconds since the epoch. */
  private verdict: { at: number; accepted: boolean } | null = null;
  private failure: { at: number; error: unknown } | null = null;
  private asking: Promise<void> | null = null;

  /** `ask`: see {@link askGateway}. */
  constructor(
    private readonly clock: Pick<Clock, "now">,
    private readonly ask: () => Promise<boolean>,
  ) {}

  /** Throws {@link AppError} `internal_error` when the gateway has not said so for long. */
  async counts(): Promise<boolean> {
    if (this.verdict !== null && this.age(this.verdict) < KEPT_MS) return this.verdict.accepted;
    if (this.failure === null || this.age(this.failure) >= RETRY_AFTER_MS) {
      this.asking ??= this.askNow().finally(() => this.asking = null);
      await this.asking;
    }
    if (this.verdict !== null && this.age(this.verdict) < KEPT_WITHOUT_ANSWER_MS) {
      return this.verdict.accepted;
    }
    throw new AppError("internal_error", "The legacy key could not be verified", {
      hint: "The project's gateway did not answer; try again shortly, or use a secret key",
      retryAfterSeconds: 5,
      cause: this.failure?.error,
    });
  }

  private age({ at }: { at: number }): number {
    return this.clock.now() - at;
  }

  private async askNow(): Promise<void> {
    try {
      this.verdict = { accepted: await this.ask(), at: this.clock.now() };
      this.failure = null;
    } catch (error) {
      this.failure = { at: this.clock.now(), error };
    }
  }
}

/**
 * Whether the gateway of the project at `url` takes the key. It looks at `apikey` before it passes a
 * request on, and Auth's own answer to this one costs no query. As Bearer alone a disabled key would
 * pass, since its signature stays valid. Rejects when the gateway says neither.
 */
export async function askGateway(
  { url, legacyKey }: { url: string; legacyKey: string },
  runtime: Pick<Runtime, "fetch" | "clock">,
): Promise<boolean> {
  return await withTimeout(runtime.clock, TIMEOUT_MS, async (signal) => {
    const response = await runtime.fetch(`${url}/auth/v1/health`, {
      headers: { apikey: legacyKey },
      signal,
    });
    await response.body?.cancel();
    if (response.status === 401 || response.status === 403) return false;
    if (response.ok) return true;
    throw new Error(`the gateway answered ${response.status}`);
  });
}
