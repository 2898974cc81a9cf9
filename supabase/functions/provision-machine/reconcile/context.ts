/** What the steps of one run of reconcile share. */
import type { Environment, Settings } from "../config/environment.ts";
import type { Changes } from "../database/changes.ts";
import type { Machines } from "../database/machines.ts";
import type { Ownership } from "../database/ownership.ts";
import type { Pool } from "../database/pool.ts";
import type { FlyClient } from "../fly/client.ts";
import type { HostingSettings } from "../hosting/choose-hosting.ts";
import type { Runtime } from "../runtime.ts";
import type { Deadline } from "../time.ts";
import type { Report } from "./report.ts";

/** What is there even when Fly.io cannot be called. */
export interface DatabaseContext {
  runtime: Runtime;
  machines: Machines;
  report: Report;
  requestId: string;
  /** When the run began, milliseconds since the epoch. */
  startedAt: number;
  /** Later than any step's deadline: a slow Fly.io must not keep the database from being written. */
  closeDeadline: Deadline;
}

export interface ReconcileContext extends DatabaseContext {
  ownership: Ownership;
  changes: Changes;
  pool: Pool;
  fly: FlyClient;
  settings: ReconcileSettings;
  /** Part of the name of every machine of this database. */
  tag: string;
  /** Where live machines were made, as the database says. */
  buckets: readonly string[];
  /** What an operator decided about machines without a row, for this run. */
  orphans: OrphanDecision | undefined;
  /** How many of these were held back before this run. */
  orphansHeldBefore: number;
  deadline: Deadline;
}

/** `adopt`: write their rows again, after a restored backup. */
export type OrphanDecision = "destroy" | "adopt";

/** For a report about no machine in particular. */
export const NO_IDS = { machineId: null, flyMachineId: null };

const ITEM_BUDGET_MS = 6_000;

/** For the work on one row or machine: a call that hangs delays nothing else. */
export function forOneItem(context: ReconcileContext): ReconcileContext {
  return { ...context, deadline: context.deadline.within(ITEM_BUDGET_MS) };
}

/** The settings that reconcile works with, so that another one that is malformed does not stop it. */
export type ReconcileSettings =
  & HostingSettings
  & Pick<
    Settings,
    | "FLY_API_HOSTNAME"
    | "FLY_API_TOKEN"
    | "FLY_REQUEST_TIMEOUT_SECONDS"
    | "PROVISION_TIMEOUT_SECONDS"
  >
  & Partial<Pick<Settings, "MACHINE_AUTOSTOP" | "MACHINE_MAX_LIFETIME_HOURS" | "POOL_SIZE">>;

/** The longest that any request may take; for when the setting itself is malformed. */
const LONGEST_REQUEST_SECONDS = 150;

/** Null when Fly.io cannot be called with what is configured. */
export function reconcileSettings({ settings, problems }: Environment): ReconcileSettings | null {
  const { FLY_API_TOKEN, FLY_API_HOSTNAME, FLY_APP_NAME } = settings;
  const decisive = ["FLY_APP_NAME", "FLY_ORG_SLUG", "FLY_ROUTER_URL", "WEBSOCKET_URL_TEMPLATE"];
  if (
    !FLY_API_TOKEN || !FLY_API_HOSTNAME || !FLY_APP_NAME ||
    problems.some(({ variable }) => decisive.includes(variable))
  ) return null;
  return {
    ...settings,
    FLY_API_TOKEN,
    FLY_API_HOSTNAME,
    FLY_REQUEST_TIMEOUT_SECONDS: settings.FLY_REQUEST_TIMEOUT_SECONDS ?? 30,
    PROVISION_TIMEOUT_SECONDS: settings.PROVISION_TIMEOUT_SECONDS ?? LONGEST_REQUEST_SECONDS,
  };
}
