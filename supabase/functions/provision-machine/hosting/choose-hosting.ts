/** Which hosting the settings ask for: the only place that looks. */
import type { Settings } from "../config/environment.ts";
import type { Hosting } from "./hosting.ts";
import { ownApps } from "./own-app.ts";
import { sharedApps } from "./shared-app.ts";

/** The part of the settings that decides. */
export type HostingSettings = Partial<
  Pick<Settings, "FLY_ORG_SLUG" | "FLY_APP_NAME" | "FLY_ROUTER_URL" | "WEBSOCKET_URL_TEMPLATE">
>;

/** For new machines. */
export function chooseHosting(settings: HostingSettings): Hosting {
  const { FLY_ORG_SLUG: orgSlug, FLY_APP_NAME: apps = [], FLY_ROUTER_URL: router } = settings;
  const direct = orgSlug === undefined
    ? "wss://{app}.fly.dev/machines/{machineId}"
    : "wss://{app}.fly.dev";
  const addressTemplate = router === undefined
    ? settings.WEBSOCKET_URL_TEMPLATE ?? direct
    : `${router}/{machineId}`;
  const hasRouter = router !== undefined;
  if (orgSlug === undefined) return sharedApps(apps, { addressTemplate, hasRouter });
  const [namePrefix = ""] = apps;
  return ownApps({ orgSlug, namePrefix, addressTemplate, hasRouter });
}

/**
 * For reconcile: each is compared on its own, so that one that cannot be listed stops no other.
 * `buckets`: where live machines were made, which may have been with other settings.
 */
export function hostingsToCompare(
  settings: HostingSettings,
  buckets: readonly string[],
): Hosting[] {
  const now = chooseHosting(settings);
  const all = new Set([...now.claim.buckets, ...buckets]);
  return [...all].map((bucket) => {
    if (now.claim.ownApp && now.claim.buckets.includes(bucket)) return now;
    const [, orgSlug] = bucket.match(/^org:(.+)$/) ?? [];
    if (orgSlug !== undefined) return chooseHosting({ ...settings, FLY_ORG_SLUG: orgSlug });
    const { FLY_ORG_SLUG: _, ...shared } = settings;
    return chooseHosting({ ...shared, FLY_APP_NAME: [bucket] });
  });
}
