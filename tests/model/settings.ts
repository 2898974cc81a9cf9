/** What a schedule's settings are for the function and for the simulated Fly.io. */
import { DEFAULT_SETTINGS, type FlySettings } from "../../dev/stack/fly/mod.ts";
import { FLY_APPS, ORGANIZATION, WEBHOOK_URL } from "./upstreams.ts";
import type { ScheduleSettings } from "./schedule.ts";

type ReadSettings = Partial<
  Pick<
    FlySettings,
    "getDelayMs" | "listDelayMs" | "organizationListDelayMs" | "getOmits" | "listOmits"
  >
>;

/** Each of these was seen in production; the simulator's README.md says where. */
export const READ_SETTINGS: Record<ScheduleSettings["reads"], ReadSettings> = {
  prompt: {},
  behind: {
    getDelayMs: { minMs: 0, maxMs: 3_000 },
    listDelayMs: { minMs: 0, maxMs: 5_000 },
    organizationListDelayMs: 15_000,
  },
  flickering: { getOmits: 0.1, listOmits: 0.2 },
};

/** After the faults: reads leave nothing out. */
export const PROMPT_READS: ReadSettings = {
  getDelayMs: DEFAULT_SETTINGS.getDelayMs,
  listDelayMs: DEFAULT_SETTINGS.listDelayMs,
  organizationListDelayMs: DEFAULT_SETTINGS.organizationListDelayMs,
  getOmits: DEFAULT_SETTINGS.getOmits,
  listOmits: DEFAULT_SETTINGS.listOmits,
};

/** The part of the function's environment that schedules differ in. */
export function environmentOf(settings: ScheduleSettings): Record<string, string> {
  return {
    ...hostingOf(settings),
    PROVISION_TIMEOUT_SECONDS: String(settings.provisionTimeoutSeconds),
    ...poolOf(settings),
    FLY_REGION_FALLBACK: String(settings.regionFallback),
    MAX_MACHINES_PER_USER: String(settings.machineLimit),
    // The lid has tests of its own.
    MAX_MACHINES: "1000",
    MAX_PROVISIONS_PER_USER_PER_HOUR: "1000",
    ...(settings.alerts ? { ALERT_WEBHOOK_URL: WEBHOOK_URL } : {}),
  };
}

/** How many machines stand by: as many as a schedule's users, but one. */
export const POOL_SIZE = 2;

function poolOf({ hosting, pool }: ScheduleSettings): Record<string, string> {
  if (hosting === "shared" || pool === "none") return {};
  return { POOL_SIZE: String(POOL_SIZE), POOL_STATE: pool };
}

function hostingOf({ hosting, apps }: ScheduleSettings): Record<string, string> {
  if (hosting === "shared") return { FLY_APP_NAME: FLY_APPS.slice(0, apps).join(",") };
  return {
    FLY_APP_NAME: FLY_APPS[0],
    FLY_ORG_SLUG: ORGANIZATION,
    ...(hosting === "own-app" ? {} : { FLY_ROUTER_URL: "wss://router.example.com" }),
  };
}
