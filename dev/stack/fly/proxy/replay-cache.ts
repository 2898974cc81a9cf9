/** Replays that the proxy repeats on its own: docs, dynamic-request-routing, "Replay Caching". */
import type { IncomingHttpHeaders } from "node:http";
import type { App } from "../world/world.ts";
import { invalidReplay, type Replay } from "./replay.ts";

const MIN_TTL_SECONDS = 10;

interface Entry {
  replay: Replay;
  /** The app whose Machine issued it. */
  source: App;
  untilMs: number;
  allowsBypass: boolean;
}

/** What an answer asks of the cache, in either form. */
interface CacheOrder {
  prefix: string | undefined;
  ttlSeconds: number;
  invalidate: boolean;
  allowsBypass: boolean;
}

/** Where a request belongs: entries of different hosts are apart. */
export interface Place {
  host: string;
  /** With the query. */
  path: string;
}

export class ReplayCache {
  readonly #entries = new Map<string, Entry>();

  /** The entry for a request, if it is to be used; the longest prefix wins. */
  find({ host, path }: Place, headers: IncomingHttpHeaders, nowMs: number): Entry | null {
    const key = this.#key(host, path, nowMs);
    const entry = key === undefined ? undefined : this.#entries.get(key);
    if (entry === undefined) return null;
    const skips = headers["fly-replay-cache-control"] === "skip";
    return skips && entry.allowsBypass ? null : entry;
  }

  /**
   * Does what an answer says.
   *
   * @throws {ProxyError} PA03 when it may not be cached.
   */
  obey(
    { host, path }: Place,
    headers: IncomingHttpHeaders,
    replay: Replay,
    source: App,
    nowMs: number,
  ): void {
    const order = orderOf(headers, replay);
    if (order === null) return;
    if (order.invalidate) {
      const key = this.#key(host, path, nowMs);
      if (key !== undefined) this.#entries.delete(key);
      return;
    }
    const { prefix = "", ttlSeconds, allowsBypass } = order;
    const forbidden = replay.state ?? replay.transform ?? replay.timeout ?? replay.fallback;
    if (forbidden !== undefined) throw invalidReplay("this replay may not be cached");
    if (!(ttlSeconds >= MIN_TTL_SECONDS)) throw invalidReplay("its TTL is below 10 seconds");
    const key = prefix.startsWith("/") ? host + prefix : prefix;
    const clean = key.replace(/\/?\*?$/, "");
    if (!matches(clean, host + path)) throw invalidReplay("its pattern is not the request's");
    const untilMs = nowMs + ttlSeconds * 1_000;
    this.#entries.set(clean, { replay, source, untilMs, allowsBypass });
  }

  #key(host: string, path: string, nowMs: number): string | undefined {
    return [...this.#entries]
      .filter(([prefix, { untilMs }]) => nowMs < untilMs && matches(prefix, host + path))
      .map(([prefix]) => prefix)
      .sort((a, b) => b.length - a.length)[0];
  }
}

/** A pattern "implicitly ends with a wildcard". */
function matches(prefix: string, place: string): boolean {
  const [path = ""] = place.split("?");
  return path === prefix || path.startsWith(`${prefix}/`);
}

function orderOf(headers: IncomingHttpHeaders, { cache }: Replay): CacheOrder | null {
  if (cache !== undefined) {
    const { prefix, ttl = 0, invalidate = false, allow_bypass: allowsBypass = false } = cache;
    return { prefix, ttlSeconds: ttl, invalidate, allowsBypass };
  }
  const prefix = [headers["fly-replay-cache"] ?? []].flat()[0];
  if (prefix === undefined) return null;
  return {
    prefix,
    ttlSeconds: Number(headers["fly-replay-cache-ttl-secs"]),
    invalidate: prefix === "invalidate",
    allowsBypass: headers["fly-replay-cache-allow-bypass"] === "yes",
  };
}
