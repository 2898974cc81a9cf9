/** Fly.io's rate limits, as token buckets; part of admission. */
import type { Action } from "../world/types.ts";

/** A steady rate, and how many calls may come at once after a pause. */
export interface RateLimit {
  perSecond: number;
  burst: number;
}

export interface RateLimits {
  /** Get Machine. */
  get: RateLimit;
  /** Each other action. */
  other: RateLimit;
}

/** Fly.io's published limits (https://fly.io/docs/machines/api/working-with-machines-api/). */
export const FLY_RATE_LIMITS: RateLimits = {
  get: { perSecond: 5, burst: 10 },
  other: { perSecond: 1, burst: 3 },
};

interface Bucket {
  tokens: number;
  atMs: number;
}

/** Published with the other limits: at most 100 deletions of apps a minute. */
const APP_DELETIONS_PER_MINUTE = 100;

/** Token buckets, one for each action and each thing it acts on (a Machine, or an app). */
export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();
  /** When each organization deleted apps, within the last minute. */
  readonly #appDeletions = new Map<string, number[]>();

  /**
   * Takes one token.
   *
   * @param subject The Machine's id, else the app's name, else the organization's slug.
   * @returns false when the call must be refused.
   */
  take(
    limits: RateLimits,
    action: Action,
    method: string,
    subject: string,
    nowMs: number,
  ): boolean {
    const limit = action === "get" ? limits.get : limits.other;
    // Reading and writing the same thing are two actions of the API.
    const key = `${action} ${method} ${subject}`;
    const bucket = this.#buckets.get(key) ?? { tokens: limit.burst, atMs: nowMs };
    const refill = (nowMs - bucket.atMs) / 1000 * limit.perSecond;
    const tokens = Math.min(limit.burst, bucket.tokens + Math.max(0, refill));
    // A sum of fractions may end a hair below the whole number that it stands for.
    const allowed = tokens >= 1 - 1e-9;
    this.#buckets.set(key, { tokens: allowed ? Math.max(0, tokens - 1) : tokens, atMs: nowMs });
    return allowed;
  }

  /** @returns false when the organization has deleted as many apps as it may within a minute. */
  takeAppDeletion(organization: string, nowMs: number): boolean {
    const recent = (this.#appDeletions.get(organization) ?? []).filter((at) => at > nowMs - 60_000);
    const allowed = recent.length < APP_DELETIONS_PER_MINUTE;
    this.#appDeletions.set(organization, allowed ? [...recent, nowMs] : recent);
    return allowed;
  }

  reset(): void {
    this.#buckets.clear();
    this.#appDeletions.clear();
  }
}
