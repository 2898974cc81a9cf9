/** A Machine in the form in which the API answers it. */
import { imageRef } from "../world/image-ref.ts";
import type { Machine } from "../world/machine.ts";
import type { MachineState } from "../world/types.ts";

/** RFC 3339 without fractions, as in `2023-11-08T01:52:30Z`. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, "Z");
}

/**
 * A Machine as the API answers it (the members of fly-go's `Machine` and of the documented examples).
 *
 * @param state Overrides the state: a create call answers `created` however fast the start is.
 */
export function machineJson(
  machine: Machine,
  nowMs: number,
  state: MachineState = machine.state(nowMs),
): Record<string, unknown> {
  const { config } = machine.identity;
  return {
    ...machineSummaryJson(machine, nowMs, state),
    config: structuredClone(config),
    incomplete_config: null,
    events: machine.events(nowMs),
    checks: Object.keys(checksOf(config)).map((name) => ({
      name,
      status: state === "started" ? "passing" : "critical",
      output: "",
      updated_at: timestamp(machine.updatedAtMs(nowMs)),
    })),
    host_status: "ok",
  };
}

/** What `summary=true` leaves of a Machine in a list: no config, checks, events or host status. */
export function machineSummaryJson(
  machine: Machine,
  nowMs: number,
  state: MachineState = machine.state(nowMs),
): Record<string, unknown> {
  const { id, name, region, instanceId, privateIp, createdAtMs, config } = machine.identity;
  return {
    id,
    name,
    state,
    region,
    image_ref: imageRef(config.image),
    instance_id: instanceId,
    private_ip: privateIp,
    created_at: timestamp(createdAtMs),
    updated_at: timestamp(machine.updatedAtMs(nowMs)),
    cordoned: false,
  };
}

function checksOf(config: Record<string, unknown>): Record<string, unknown> {
  const { checks } = config;
  return typeof checks === "object" && checks !== null && !Array.isArray(checks)
    ? { ...checks }
    : {};
}
