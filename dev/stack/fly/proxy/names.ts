/** Which app a request is for, and whether its name resolves yet. */
import { draw } from "../control/settings.ts";
import type { Address } from "../world/addresses.ts";
import type { App, World } from "../world/world.ts";
import type { ProxySettings } from "./settings.ts";

/** The port of `https:` and `wss:`, for a name without one. */
const DEFAULT_PORT = 443;
const NAME = /^([a-z0-9-]+)\.fly\.dev(?::(\d{1,5}))?$/i;

export interface Destination {
  app: string;
  /** The public port that the client outside would have connected to. */
  port: number;
  /** `{app}.fly.dev`. */
  host: string;
  /** With the query. */
  path: string;
}

/**
 * There is no DNS on loopback, so a request names its host itself: in the Host header, or, for clients
 * that cannot set it, in a first part of the path that stands for name resolution and nothing else.
 * `http://127.0.0.1:PORT/host/{app}.fly.dev/path` is `https://{app}.fly.dev/path` outside; a port
 * behind the name is the public port.
 *
 * @returns null when it names no host of Fly.io's.
 */
export function destinationOf(url: string, hostHeader: string | undefined): Destination | null {
  const [, segment, rest = ""] = /^\/host\/([^/?]+)(.*)$/s.exec(url) ?? [];
  const [, app, port] = NAME.exec(segment ?? hostHeader ?? "") ?? [];
  if (app === undefined) return null;
  const path = segment === undefined ? url : rest.startsWith("/") ? rest : `/${rest}`;
  const name = app.toLowerCase();
  return { app: name, port: Number(port ?? DEFAULT_PORT), host: `${name}.fly.dev`, path };
}

interface Resolution {
  /** Drawn once for each app, so that the delay of a name does not change between lookups. */
  withIpv6Ms: number;
  withIpv4AloneMs: number;
  /** Until when resolvers remember that there is no such name. */
  absentUntilMs: number;
}

/** The public DNS for `*.fly.dev`, as a client's resolver sees it. */
export class Names {
  readonly #resolutions = new Map<string, Resolution>();

  constructor(
    private readonly world: World,
    private readonly settings: () => ProxySettings,
  ) {}

  /**
   * Looks up `{app}.fly.dev`. A name appears some time after the app's first public address
   * (https://fly.io/docs/networking/services/: "a small delay"). A lookup before that is answered that
   * there is none, and is answered so from a cache for a while.
   *
   * @returns the app, or null when the name does not resolve.
   */
  lookUp(name: string): App | null {
    const app = this.world.app(name);
    if (app === undefined) return null;
    const now = this.world.now();
    const resolution = this.#resolution(app);
    if (now < resolution.absentUntilMs) return null;
    if (now >= appearsAtMs(this.world.addresses.of(app.id), resolution)) return app;
    resolution.absentUntilMs = now + this.settings().negativeDnsTtlMs;
    return null;
  }

  #resolution(app: App): Resolution {
    const known = this.#resolutions.get(app.id);
    if (known) return known;
    const { dnsDelayMs, dnsDelayWithIpv4AloneMs } = this.settings();
    const fresh = {
      withIpv6Ms: draw(dnsDelayMs, this.world.random),
      withIpv4AloneMs: draw(dnsDelayWithIpv4AloneMs, this.world.random),
      absentUntilMs: 0,
    };
    this.#resolutions.set(app.id, fresh);
    return fresh;
  }
}

/** A Flycast address (`private_v6`) and those for outgoing connections are in no public DNS. */
function appearsAtMs(addresses: readonly Address[], resolution: Resolution): number {
  return Math.min(...addresses.map(({ type, createdAtMs }) => {
    if (type === "v6") return createdAtMs + resolution.withIpv6Ms;
    const isIpv4 = type === "v4" || type === "shared_v4";
    return isIpv4 ? createdAtMs + resolution.withIpv4AloneMs : Infinity;
  }));
}
