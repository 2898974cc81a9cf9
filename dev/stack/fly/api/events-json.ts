/** A Machine's events in the form in which the API answers them. */
import type { FlySettings } from "../control/settings.ts";
import type { Machine } from "../world/machine.ts";

/** Newest first. Members of an exit that are zero, false or empty are left out (fly-go, machine_types.go). */
export function eventsJson(
  machine: Machine,
  nowMs: number,
  { exitEventUnder }: Pick<FlySettings, "exitEventUnder">,
): Record<string, unknown>[] {
  return machine.events(nowMs).map(({ request, ...event }) => {
    if (request === undefined) return event;
    const exit = withoutZeros(request.exit_event);
    const own = exitEventUnder === "MonitorEvent" ? {} : { exit_event: exit };
    const monitor = exitEventUnder === "exit_event" ? {} : { MonitorEvent: { exit_event: exit } };
    const count = withoutZeros({ restart_count: request.restart_count });
    return { ...event, request: { ...own, ...monitor, ...count } };
  });
}

function withoutZeros(members: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== 0 && value !== false && value !== ""),
  );
}
