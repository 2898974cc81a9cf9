/** Headers that Fly Proxy sets, changes and removes: https://fly.io/docs/networking/request-headers/ */
import type { IncomingHttpHeaders } from "node:http";
import type { ProxySettings } from "./settings.ts";

export type Headers = Record<string, string | string[]>;

/** They speak of one connection, not of the request (RFC 9110, section 7.6.1). */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
/** They choose a Machine; the proxy takes them off (Kilo-Org/cloud, AGENTS.md). */
const CHOICES = new Set([
  "fly-force-instance-id",
  "fly-prefer-instance-id",
  "fly-force-region",
  "fly-prefer-region",
]);
/** Signs of a replay. */
const REPLAY_SIGNS = new Set([
  "fly-replay-src",
  "fly-replay-failed",
  "fly-replay-cache-status",
  "fly-preferred-instance-unavailable",
]);

export interface Arrival {
  clientIp: string;
  port: number;
  host: string;
  secure: boolean;
  requestId: string;
}

/** The client's headers as a Machine gets them. Without a body or an upgrade. */
export function requestHeaders(
  given: IncomingHttpHeaders,
  { clientIp, port, host, secure, requestId }: Arrival,
  { edgeRegion, passesClientReplayHeaders }: ProxySettings,
): Headers {
  const headers: Headers = {};
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || HOP_BY_HOP.has(name) || CHOICES.has(name)) continue;
    if (REPLAY_SIGNS.has(name) && !passesClientReplayHeaders) continue;
    headers[name] = value;
  }
  const forwarded = [given["x-forwarded-for"] ?? [], clientIp].flat();
  return {
    ...headers,
    host,
    "fly-client-ip": clientIp,
    "fly-forwarded-port": String(port),
    "fly-region": edgeRegion,
    "fly-request-id": requestId,
    via: [given.via ?? [], "1.1 fly.io"].flat().join(", "),
    // Only appended to, so that a client can forge what stands in front (DayriseA/checkout-surge).
    "x-forwarded-for": forwarded.join(", "),
    "x-forwarded-proto": secure ? "https" : "http",
    "x-forwarded-ssl": secure ? "on" : "off",
    // "May be set by the client."
    "x-forwarded-port": given["x-forwarded-port"] ?? String(port),
  };
}

/** A Machine's headers as the client gets them. */
export function responseHeaders(given: IncomingHttpHeaders, requestId: string): Headers {
  const headers: Headers = {};
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && !HOP_BY_HOP.has(name)) headers[name] = value;
  }
  return { ...headers, ...ownHeaders(requestId) };
}

/** On every answer (https://fly.io/docs/reference/configuration/, `pristine`). */
export function ownHeaders(requestId: string): Headers {
  return { server: "Fly/simulator", via: "1.1 fly.io", "fly-request-id": requestId };
}

/** The start of an HTTP/1.1 answer as it goes over a connection that asked for an upgrade. */
export function statusAndHeaders(status: number, reason: string, headers: Headers): string {
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    [value].flat().map((one) => `${name}: ${one}\r\n`)
  );
  return `HTTP/1.1 ${status} ${reason}\r\n${lines.join("")}\r\n`;
}
