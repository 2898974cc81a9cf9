/** Leases: while one is held, others may not change the Machine. */
import { FlyRefusal } from "../api/errors.ts";
import { leaseNonce } from "./identifiers.ts";
import type { Machine } from "./machine.ts";
import type { Lease } from "./types.ts";
import type { World } from "./world.ts";

/** Without `ttl`. Not published. */
export const DEFAULT_LEASE_SECONDS = 30;

/** The lease that is held now. */
export function heldLease(machine: Machine, nowMs: number): Lease | undefined {
  const { lease } = machine;
  return lease !== undefined && nowMs < lease.expiresAtMs ? lease : undefined;
}

/** A lease that this caller does not hold. */
export function foreignLease(
  machine: Machine,
  nonce: string | null,
  nowMs: number,
): Lease | undefined {
  const lease = heldLease(machine, nowMs);
  return lease === undefined || lease.nonce === nonce ? undefined : lease;
}

/** Takes the lease, or extends the caller's own. */
export function takeLease(
  world: World,
  machine: Machine,
  { nonce, ttlSeconds, ...rest }: {
    nonce: string | null;
    ttlSeconds: number;
    owner: string;
    description: string;
  },
): Lease {
  const now = world.now();
  const foreign = foreignLease(machine, nonce, now);
  if (foreign) throw leaseHeld(machine, foreign);
  machine.lease = {
    nonce: heldLease(machine, now)?.nonce ?? leaseNonce(world.random),
    version: machine.identity.instanceId,
    expiresAtMs: now + ttlSeconds * 1000,
    ...rest,
  };
  return machine.lease;
}

/** Recorded on community.fly.io, topic 15555, in the form with `message`. */
export function leaseHeld({ identity }: Machine, { owner, expiresAtMs }: Lease): FlyRefusal {
  const until = new Date(expiresAtMs).toISOString();
  return new FlyRefusal(
    409,
    `machine ID ${identity.id} lease currently held by ${owner}, expires at ${until}`,
    { form: "message" },
  );
}

/** Recorded by DayriseA/checkout-surge. */
export const leaseNotFound = (): FlyRefusal => new FlyRefusal(404, "lease not found");
