/** A Machine in the form in which the API answers it. */
import { imageRef } from "../world/image-ref.ts";
import type { Machine } from "../world/machine.ts";
import type { FlySettings } from "../control/settings.ts";
import { eventsJson } from "./events-json.ts";

/** RFC 3339 without fractions, as in `2023-11-08T01:52:30Z`. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, "Z");
}

/**
 * A Machine as the API answers it (the members of fly-go's `Machine` and of the documented examples).
 * On a host that is not `ok`, the config is in `incomplete_config` alone (fly-go, machine_types.go).
 */
export function machineJson(
  machine: Machine,
  nowMs: number,
  settings: Pick<FlySettings, "exitEventUnder">,
): Record<string, unknown> {
  const state = machine.state(nowMs);
  const config = structuredClone(machine.identity.config);
  const { status: hostStatus } = machine.host;
  return {
    ...machineSummaryJson(machine, nowMs),
    config: hostStatus === "ok" ? config : null,
    incomplete_config: hostStatus === "ok" ? null : config,
    events: eventsJson(machine, nowMs, settings),
    checks: Object.keys(checksOf(config)).map((name) => ({
      name,
      status: state === "started" ? "passing" : "critical",
      output: "",
      updated_at: timestamp(machine.updatedAtMs(nowMs)),
    })),
    host_status: hostStatus,
  };
}

/** What `summary=true` leaves of a Machine in a list: no config, checks, events or host status. */
export function machineSummaryJson(
  machine: Machine,
  nowMs: number,
): Record<string, unknown> {
  const { id, name, region, instanceId, privateIp, createdAtMs, config } = machine.identity;
  return {
    id,
    name,
    state: machine.state(nowMs),
    region,
    image_ref: imageRef(config.image),
    instance_id: instanceId,
    private_ip: privateIp,
    created_at: timestamp(createdAtMs),
    updated_at: timestamp(machine.updatedAtMs(nowMs)),
    cordoned: machine.cordoned,
  };
}

function checksOf(config: Record<string, unknown>): Record<string, unknown> {
  const { checks } = config;
  return typeof checks === "object" && checks !== null && !Array.isArray(checks)
    ? { ...checks }
    : {};
}
