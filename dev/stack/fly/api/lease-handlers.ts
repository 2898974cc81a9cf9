/** `GET|POST|DELETE …/machines/{id}/lease`, and what a held lease does to other calls. */
import { z } from "zod";
import {
  DEFAULT_LEASE_SECONDS,
  foreignLease,
  heldLease,
  leaseHeld,
  leaseNotFound,
  takeLease,
} from "../world/leases.ts";
import type { Machine } from "../world/machine.ts";
import type { Lease } from "../world/types.ts";
import { seenMachine } from "../world/visibility.ts";
import type { World } from "../world/world.ts";
import { type AdmittedCall, type ApiAnswer, changed, parseBody, read } from "./handler.ts";
import { sleepUntilChange } from "./wait.ts";

const leaseSchema = z.looseObject({
  /** Seconds. */
  ttl: z.int().min(1).optional(),
  description: z.string().optional(),
});

export function leases(call: AdmittedCall): ApiAnswer {
  const { world, method, route, omitted, leaseNonce, access } = call;
  const { machine } = seenMachine(world, route, omitted);
  if (method === "GET") {
    const lease = heldLease(machine, world.now());
    if (lease === undefined) throw leaseNotFound();
    return read(leaseJson(world, lease));
  }
  if (method === "DELETE") {
    refuseIfLeased(call, machine);
    if (heldLease(machine, world.now()) === undefined) throw leaseNotFound();
    machine.lease = undefined;
    return changed({ ok: true });
  }
  const { ttl = DEFAULT_LEASE_SECONDS, description = "" } = call.body === ""
    ? {}
    : parseBody(call, leaseSchema, "AcquireLeaseRequest");
  const owner = access.organization;
  const lease = takeLease(world, machine, {
    nonce: leaseNonce,
    ttlSeconds: ttl,
    owner,
    description,
  });
  return changed(leaseJson(world, lease), 201);
}

/** @throws {FlyRefusal} 409 at once while another holds the lease (measured by checkout-surge). */
export function refuseIfLeased({ world, leaseNonce }: AdmittedCall, machine: Machine): void {
  const lease = foreignLease(machine, leaseNonce, world.now());
  if (lease) throw leaseHeld(machine, lease);
}

/**
 * Stop and destroy hang until another's lease ends (measured by checkout-surge), or are refused. A
 * caller that leaves meanwhile takes its call along: not published.
 */
export async function waitForLease(call: AdmittedCall, machine: Machine): Promise<void> {
  const { world, leaseNonce, signal } = call;
  for (;;) {
    const now = world.now();
    const lease = foreignLease(machine, leaseNonce, now);
    if (lease === undefined) return;
    if (world.settings.foreignLease === "409") throw leaseHeld(machine, lease);
    await sleepUntilChange(world.clock, machine, lease.expiresAtMs - now, signal);
  }
}

function leaseJson(world: World, lease: Lease): Record<string, unknown> {
  const { nonce, owner, description, version, expiresAtMs } = lease;
  const flat = { nonce, expires_at: Math.floor(expiresAtMs / 1000), owner, description, version };
  return world.settings.leaseBody === "flat" ? flat : { status: "success", data: flat };
}
