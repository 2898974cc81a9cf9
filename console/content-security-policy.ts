/** What the page may load, and which servers it may call. */
import type { ConsoleConfig } from "./page/config.ts";

/** The policy as the value of its header. */
export function contentSecurityPolicy(config: ConsoleConfig): string {
  return [...directives(config), "frame-ancestors 'none'"].join("; ");
}

/** The policy for a `<meta>` element, in which `frame-ancestors` means nothing. */
export function metaContentSecurityPolicy(config: ConsoleConfig): string {
  return directives(config).join("; ");
}

function directives({ supabaseUrl, machineOrigins }: ConsoleConfig): string[] {
  const supabase = new URL(supabaseUrl).origin;
  const realtime = supabase.replace(/^http/, "ws");
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src 'self' ${[supabase, realtime, ...machineOrigins].join(" ")}`,
    "base-uri 'none'",
    "form-action 'none'",
    // No code of the page turns text into HTML or script; none that slips in may.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ];
}

/** Every header that belongs to a file of the console. */
export function securityHeaders(config: ConsoleConfig): Record<string, string> {
  return {
    "content-security-policy": contentSecurityPolicy(config),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
  };
}
