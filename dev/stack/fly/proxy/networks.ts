/**
 * Which Machines see each other over their private network (6PN):
 * https://fly.io/docs/networking/custom-private-networks/ and private-networking.
 */
import type { Machine } from "../world/machine.ts";
import type { World } from "../world/world.ts";

/**
 * Whether a Machine can open a connection to any port of the other, whatever `services` say: those of
 * one app can, and those of all apps on one network of an organization.
 */
export function canReach(world: World, from: Machine, to: Machine): boolean {
  const source = world.app(from.identity.app);
  const target = world.app(to.identity.app);
  return source !== undefined && target !== undefined &&
    source.organization === target.organization && source.network === target.network;
}

/**
 * What `vms.{app}.internal` answers inside a Machine: id and region of each started Machine of the
 * app. Empty when the app is on another network.
 */
export function internalVms(world: World, from: Machine, app: string): string {
  const now = world.now();
  return world.machines(app)
    .filter((machine) => machine.state(now) === "started" && canReach(world, from, machine))
    .map(({ identity: { id, region } }) => `${id} ${region}`)
    .join(",");
}
