/**
 * Stops Machines that are not needed: https://fly.io/docs/reference/fly-proxy-autostop-autostart/.
 * One pass stops at most one Machine of an app in a region.
 */
import { stop } from "../world/lifecycle.ts";
import type { Machine } from "../world/machine.ts";
import { suspendOrStop } from "../world/suspending.ts";
import type { App } from "../world/world.ts";
import type { ProxyContext } from "./context.ts";
import { type Service, servicesOf } from "./services.ts";

interface Running {
  machine: Machine;
  services: Service[];
}

/** Passes every few minutes until `closing` is aborted. */
export async function startAutostop(context: ProxyContext, closing: AbortSignal): Promise<void> {
  const { world, settings } = context;
  try {
    for (;;) {
      await world.clock.sleep(settings().autostopEveryMs, closing);
      autostopPass(context);
    }
  } catch (error) {
    if (!closing.aborted) throw error;
  }
}

/** One pass over every app. */
export function autostopPass(context: ProxyContext): void {
  for (const app of context.world.apps()) {
    for (const [region, running] of byRegion(context, app)) {
      const chosen = excess(context, region, running);
      if (chosen) sleep(context, chosen);
    }
  }
}

function byRegion({ world }: ProxyContext, app: App): Map<string, Running[]> {
  const now = world.now();
  const running = world.machines(app.name)
    .filter((machine) => machine.state(now) === "started")
    .map((machine) => ({ machine, services: servicesOf(machine.identity.config) }))
    .filter(({ services }) => services.length > 0);
  return Map.groupBy(running, ({ machine }) => machine.identity.region);
}

/** The Machine of a region that is to stop, if any. Which one Fly.io takes is not published: drawn. */
function excess(
  { connections, world }: ProxyContext,
  region: string,
  running: Running[],
): Running | undefined {
  const load = ({ machine }: Running) => connections.load(machine.identity.id);
  const stoppable = running.filter(({ services }) =>
    services.some(({ autostop }) => autostop !== "off")
  );
  if (running.length <= minimum(region, running)) return undefined;
  if (running.length === 1) return stoppable.find((machine) => load(machine) === 0);
  const busy = running.filter((one) =>
    one.services.some(({ concurrency }) => load(one) > concurrency.soft_limit)
  );
  if (running.length - (busy.length + 1) < 1) return undefined;
  const idle = stoppable.filter((one) => !busy.includes(one));
  return idle[Math.floor(world.random() * idle.length)];
}

/**
 * `min_machines_running` holds in the primary region alone. The Machines API has no field for that
 * region; flyctl sets PRIMARY_REGION (https://fly.io/docs/machines/runtime-environment/). Without it
 * the minimum holds nowhere.
 */
function minimum(region: string, running: Running[]): number {
  return Math.max(
    0,
    ...running.flatMap(({ machine, services }) =>
      machine.identity.config.env?.PRIMARY_REGION === region
        ? services.map(({ min_machines_running: least }) => least)
        : []
    ),
  );
}

/** Cordons the Machine, sends its clients away, and stops it (community.fly.io, topic 27544). */
function sleep(
  { sightings, connections, world }: ProxyContext,
  { machine, services }: Running,
): void {
  sightings.cordon(machine);
  connections.sendAway(machine.identity.id);
  const stops = services.some(({ autostop }) => autostop === "stop");
  if (stops) stop(machine, world.now(), world.draw(world.settings.stopDelayMs));
  else suspendOrStop(world, machine);
}
