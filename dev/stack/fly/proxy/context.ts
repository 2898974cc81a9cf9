/** What the parts of Fly Proxy share. */
import type { App, World } from "../world/world.ts";
import type { MachineRunner } from "../serve/machine-runner.ts";
import type { Connections } from "./connections.ts";
import type { Names } from "./names.ts";
import type { ProxyError, ProxyLogEntry } from "./proxy-error.ts";
import type { ReplayCache } from "./replay-cache.ts";
import type { ProxySettings } from "./settings.ts";
import type { Sightings } from "./sightings.ts";
import type { Wakes } from "./wakes.ts";

export interface ProxyContext {
  world: World;
  names: Names;
  runner: MachineRunner;
  connections: Connections;
  sightings: Sightings;
  wakes: Wakes;
  replayCache: ReplayCache;
  settings: () => ProxySettings;
  log: ProxyLogEntry[];
}

/** Writes an error to the app's log. */
export function logError({ world, log }: ProxyContext, app: App, error: ProxyError): void {
  const { code, machineId, message } = error;
  log.push({ atMs: world.now(), app: app.name, code, machineId, message });
}
