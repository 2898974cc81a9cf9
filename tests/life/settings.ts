/** What a world's settings are for the function and for the simulated Fly.io. */
import { DEFAULT_SETTINGS, type FlySettings } from "../../dev/stack/fly/mod.ts";
import { FLY_APPS, ORGANIZATION } from "../model/upstreams.ts";
import type { WorldSettings } from "./life.ts";

export function flySettingsOf(settings: WorldSettings): Partial<FlySettings> {
  return {
    getDelayMs: settings.getDelayMs,
    listDelayMs: settings.listDelayMs,
    organizationListDelayMs: settings.listDelayMs,
    exitEventUnder: settings.exitEventUnder,
    startOfStarted: settings.startOfStarted,
    startRefusalStatus: settings.startRefusalStatus,
    waitForUnreachable: settings.waitForUnreachable,
    suspendFails: settings.suspendFails,
    organizationPageMax: settings.pageMax,
    getAfterDestroyMs: settings.getAfterDestroyMs,
  };
}

/** For machines made from now on: reads are as they are by default. */
export const PROMPT: Partial<FlySettings> = {
  getDelayMs: DEFAULT_SETTINGS.getDelayMs,
  listDelayMs: DEFAULT_SETTINGS.listDelayMs,
  organizationListDelayMs: DEFAULT_SETTINGS.organizationListDelayMs,
};

/** The part of the function's environment that worlds differ in. */
export function environmentOf({ hosting, autostop }: WorldSettings): Record<string, string> {
  if (hosting === "shared") return { FLY_APP_NAME: FLY_APPS[0] };
  return {
    FLY_APP_NAME: FLY_APPS[0],
    FLY_ORG_SLUG: ORGANIZATION,
    MACHINE_AUTOSTOP: autostop,
    ...(hosting === "own-app" ? {} : { FLY_ROUTER_URL: "wss://router.example.com" }),
  };
}
