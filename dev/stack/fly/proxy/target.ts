/** Where a request goes next: from the client's headers, and from the answers of Machines. */
import type { IncomingHttpHeaders } from "node:http";
import type { Machine } from "../world/machine.ts";
import type { App } from "../world/world.ts";
import type { ProxyContext } from "./context.ts";
import type { Wanted } from "./find-machine.ts";
import { ProxyError } from "./proxy-error.ts";
import { regionList } from "../world/region-groups.ts";
import type { Replay } from "./replay.ts";

export interface Target extends Wanted {
  /** Request headers that this step adds. */
  headers: Record<string, string>;
  /** What the replay changes of the request. */
  transform: Replay["transform"];
  /** How long to try; undefined: as long as every request. */
  timeoutMs: number | undefined;
  /** Where the request goes back to if this fails. */
  fallback: { mode: NonNullable<Replay["fallback"]>; source: Machine } | undefined;
  /** It came back: another replay is not allowed. */
  isFallback: boolean;
}

/** The first target: the app of the name, with what the client's headers choose. */
export function firstTarget(app: App, port: number, headers: IncomingHttpHeaders): Target {
  const text = (name: string) => [headers[name] ?? []].flat()[0];
  const forced = text("fly-force-region");
  const preferred = text("fly-prefer-region");
  const regions = forced ?? preferred;
  return {
    app,
    port,
    instance: text("fly-force-instance-id"),
    preferredInstance: text("fly-prefer-instance-id"),
    regions: regions === undefined ? undefined : regionList(regions),
    regionsOnly: forced !== undefined,
    excluded: new Set(),
    headers: {},
    transform: undefined,
    timeoutMs: undefined,
    fallback: undefined,
    isFallback: false,
  };
}

/**
 * The target that a Machine's `fly-replay` names. The port stays that of the request
 * (https://fly.io/docs/blueprints/connecting-to-user-machines/#port-matching).
 *
 * @throws {ProxyError} when that Machine's app may not send requests there.
 */
export function replayTarget(
  context: ProxyContext,
  from: Target,
  source: Machine,
  replay: Replay,
): Target {
  const { id, region } = source.identity;
  const src = [
    `instance=${id}`,
    `region=${region}`,
    // Microseconds.
    `t=${context.world.now() * 1_000}`,
    ...(replay.state === undefined ? [] : [`state=${replay.state}`]),
  ];
  return {
    ...namedTarget(context, from.app, from.port, replay),
    excluded: new Set(replay.elsewhere ? [id] : []),
    headers: { "fly-replay-src": src.join(";"), "fly-replay-cache-status": "miss" },
    fallback: replay.fallback && { mode: replay.fallback, source },
  };
}

/** The target of a replay from the cache: no Machine was asked, and none is named as its source. */
export function cachedTarget(
  context: ProxyContext,
  port: number,
  replay: Replay,
  source: App,
): Target {
  const headers = { "fly-replay-cache-status": "hit" };
  return { ...namedTarget(context, source, port, replay), headers };
}

/** @throws {ProxyError} when a Machine of `sender` may not send requests there. */
function namedTarget(
  context: ProxyContext,
  sender: App,
  port: number,
  replay: Replay,
): Target {
  const { world } = context;
  const app = world.app(replay.app ?? sender.name);
  if (app === undefined) throw new ProxyError("PA04", 502, `no app "${replay.app}"`);
  requireConsent(context, sender, app);
  requireSameApp(context, app, replay.instance);
  return {
    app,
    port,
    instance: replay.instance,
    preferredInstance: replay.prefer_instance,
    regions: replay.region,
    regionsOnly: replay.region !== undefined,
    excluded: new Set(),
    headers: {},
    transform: replay.transform,
    timeoutMs: replay.timeout,
    fallback: undefined,
    isFallback: false,
  };
}

/** Back to the Machine that asked for a replay, with the reason in a header. */
export function fallbackTarget(
  failed: Target,
  app: App,
  reason: "timeout" | "retries_exhausted" | "no_candidate",
  elapsedMs: number,
): Target | null {
  if (failed.fallback === undefined) return null;
  const { mode, source } = failed.fallback;
  const { id } = source.identity;
  return {
    app,
    port: failed.port,
    instance: mode === "force_self" ? id : undefined,
    preferredInstance: mode === "prefer_self" ? id : undefined,
    excluded: new Set(),
    headers: {
      "fly-replay-failed": [
        ...(failed.instance === undefined ? [] : [`instance=${failed.instance}`]),
        `app=${failed.app.name}`,
        ...(failed.regions === undefined ? [] : [`region=${failed.regions.join(",")}`]),
        `replay_source=${id}`,
        `reason=${reason}`,
        `elapsed_ms=${elapsedMs}`,
      ].join(";"),
    },
    transform: undefined,
    timeoutMs: undefined,
    fallback: undefined,
    isFallback: true,
  };
}

/**
 * Within one organization and network, across networks only if the organization allows it, across
 * organizations only if the target's allows it
 * (https://fly.io/docs/networking/dynamic-request-routing/#cross-network-routing).
 */
function requireConsent({ world }: ProxyContext, source: App, target: App): void {
  if (source.organization !== target.organization) {
    const { replaySources } = world.organizations.get(target.organization);
    if (replaySources.has(source.organization)) return;
    throw new ProxyError("PA05", 502, `${target.name} belongs to another organization`);
  }
  if (source.network === target.network) return;
  if (world.organizations.get(source.organization).crossNetworkReplays) return;
  // The code for this case is not published.
  throw new ProxyError("PA05", 502, `${target.name} is on another network`);
}

/** "Don't specify both app and instance if instance isn't in that app." */
function requireSameApp({ world }: ProxyContext, app: App, instance: string | undefined): void {
  if (instance === undefined) return;
  const elsewhere = world.machines().some(({ identity }) =>
    identity.id === instance && identity.app !== app.name
  );
  if (elsewhere) {
    throw new ProxyError("PA03", 502, `machine ${instance} is not in ${app.name}`, instance);
  }
}
