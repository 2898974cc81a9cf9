/** Everything that the dashboard shows, each part read or failed for itself. */
import type { Health, MachineEvent, OperatorApi } from "./api.ts";
import type { Sample } from "./prometheus.ts";

export interface OperatorData {
  health: Health | Error;
  metrics: Sample[] | Error;
  events: MachineEvent[] | Error;
}

export async function readData(api: OperatorApi, signal: AbortSignal): Promise<OperatorData> {
  const [health, metrics, events] = await Promise.all([
    api.health(signal).catch(toError),
    api.metrics(signal).catch(toError),
    api.events(signal).catch(toError),
  ]);
  return { health, metrics, events };
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
