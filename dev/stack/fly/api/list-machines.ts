/** `GET /v1/apps/{app}/machines` with `region`, `state`, `include_deleted`, `summary`, `metadata.{key}` */
import { seenAt } from "../world/visibility.ts";
import { type AdmittedCall, type ApiAnswer, flag, read } from "./handler.ts";
import { machineJson, machineSummaryJson } from "./machine-json.ts";

export function listMachines({ world, route, query, omitted }: AdmittedCall): ApiAnswer {
  const region = query.get("region");
  const states = (query.get("state") ?? "").split(",").filter((state) => state !== "");
  const metadata = [...query].filter(([key]) => key.startsWith("metadata."))
    .map(([key, value]) => [key.slice("metadata.".length), value] as const);
  const withDeleted = flag(query, "include_deleted") || states.includes("destroyed");
  const summary = flag(query, "summary");
  return read(
    world.machines(route.app ?? "").flatMap((machine) => {
      const { config } = machine.identity;
      // Each region answers for its own Machines; this list does not say that one did not.
      if (!world.regions.answers(machine.identity.region)) return [];
      const asOfMs = seenAt(world, machine, "list", omitted);
      if (asOfMs === null) return [];
      const state = machine.state(asOfMs);
      const matches = (withDeleted || state !== "destroyed") &&
        (!region || machine.identity.region === region) &&
        (states.length === 0 || states.includes(state)) &&
        metadata.every(([key, value]) => config.metadata?.[key] === value);
      if (!matches) return [];
      return summary
        ? [machineSummaryJson(machine, asOfMs)]
        : [machineJson(machine, asOfMs, world.settings)];
    }),
  );
}
