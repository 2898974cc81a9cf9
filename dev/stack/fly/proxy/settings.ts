/** What of Fly Proxy is a matter of degree, or is published nowhere. */
import type { Duration } from "../control/settings.ts";

export interface ProxySettings {
  /** Where the edge is that every client reaches. */
  edgeRegion: string;
  /** From an app's IPv6 address to a name that resolves: 30 to 60 s, recorded by speakeasy-api/gram. */
  dnsDelayMs: Duration;
  /** The same with a shared IPv4 address alone: minutes, recorded there too. */
  dnsDelayWithIpv4AloneMs: Duration;
  /** How long a lookup that came too early delays the next. The figure is ours. */
  negativeDnsTtlMs: number;
  /**
   * From `started` to the moment at which the proxy knows it: "a short delay"
   * (https://fly.io/docs/reference/fly-proxy-autostop-autostart/). The figure is ours.
   */
  unknownAfterStartMs: Duration;
  /** How long a start may take, and how long a started program may take to listen. Ours. */
  wakeTimeoutMs: number;
  connectTimeoutMs: number;
  /** How long a request waits for room when every Machine is at its `hard_limit`. Ours. */
  queueTimeoutMs: number;
  /** "Every few minutes" in the docs; 5.5 min were measured (DayriseA/checkout-surge). */
  autostopEveryMs: number;
  /**
   * Whether a request wakes a Machine whose service does not say `autostart: true`, when it can only
   * mean this one. The docs say no; Kilo-Org/cloud#3219 and #3376 saw it happen. `sometimes` draws.
   */
  wakesWithoutAutostart: "never" | "sometimes" | "always";
  /**
   * How likely a suspended Machine's memory is lost, so that it starts cold: "not guaranteed"
   * (https://fly.io/docs/reference/suspend-resume/). The figure is ours.
   */
  snapshotLossProbability: number;
  /**
   * Whether a client's own `fly-replay-src` reaches a Machine on a request that was not replayed.
   * Not published; the docs ask for a secret in `state`
   * (https://fly.io/docs/blueprints/connecting-to-user-machines/#authentication).
   */
  passesClientReplayHeaders: boolean;
  /** 1 MB on one page of the docs, 10 MB on another: the smaller one. */
  maxReplayBodyBytes: number;
}

export const DEFAULT_PROXY_SETTINGS: ProxySettings = {
  edgeRegion: "iad",
  dnsDelayMs: { minMs: 30_000, maxMs: 60_000 },
  dnsDelayWithIpv4AloneMs: { minMs: 120_000, maxMs: 300_000 },
  negativeDnsTtlMs: 60_000,
  unknownAfterStartMs: { minMs: 0, maxMs: 2_000 },
  wakeTimeoutMs: 20_000,
  connectTimeoutMs: 20_000,
  queueTimeoutMs: 10_000,
  autostopEveryMs: 330_000,
  wakesWithoutAutostart: "sometimes",
  snapshotLossProbability: 0.5,
  passesClientReplayHeaders: true,
  maxReplayBodyBytes: 1_000_000,
};

/** For a person who does not want to wait for names and proxies to catch up. */
export const PROMPT_PROXY_SETTINGS: Partial<ProxySettings> = {
  dnsDelayMs: 0,
  dnsDelayWithIpv4AloneMs: 0,
  negativeDnsTtlMs: 0,
  unknownAfterStartMs: 0,
};
