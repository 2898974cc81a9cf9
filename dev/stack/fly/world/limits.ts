/** What an organization may not do: limits, quotas, billing and the trial. */
import { FlyRefusal } from "../api/errors.ts";
import type { MachineConfig } from "./machine-config.ts";
import type { Machine } from "./machine.ts";
import type { Organization } from "./organizations.ts";
import type { World } from "./world.ts";

/** Texts from superfly/flyctl#2060. Their statuses are not recorded: each is drawn. */
const BILLING_TEXTS = {
  "payment-information": "We need your payment information",
  "second-machine": "To create more than 1 machine per app please add a payment method",
} as const;
const BILLING_STATUSES = [403, 412, 422] as const;

type Billing = keyof typeof BILLING_TEXTS;

/** https://fly.io/docs/about/free-trial/ */
export const TRIAL = { machines: 10, memoryMb: 4096, cpus: 2, vmMs: 2 * 3_600_000, days: 7 };

/** Where a Machine is to be made. */
export interface Placement {
  app: string;
  region: string;
  config: MachineConfig;
}

/** @throws {FlyRefusal} when the organization may not have this Machine. */
export function requireAllowance(
  world: World,
  organization: Organization,
  wanted: Placement,
): void {
  const machines = machinesOf(world, organization);
  const { billing, machineLimit, trialSinceMs } = organization;
  if (billing === "payment-information") throw billingRefusal(world, billing);
  const inApp = machines.filter(({ identity }) => identity.app === wanted.app).length;
  if (billing === "second-machine" && inApp > 0) throw billingRefusal(world, billing);
  if (trialSinceMs !== null) requireTrial(world, organization, wanted);
  const limit = Math.min(
    machineLimit ?? Infinity,
    trialSinceMs === null ? Infinity : TRIAL.machines,
  );
  // Stopped Machines count (community.fly.io, topic 20636; terraform-provider-fly).
  if (machines.length >= limit) throw machineLimitReached();
  const quotaMb = organization.memoryQuotasMb[wanted.region];
  if (quotaMb === undefined) return;
  const usedMb = machines.filter(({ identity }) => identity.region === wanted.region)
    .reduce((sum, { identity }) => sum + identity.config.guest.memory_mb, 0);
  if (usedMb + wanted.config.guest.memory_mb > quotaMb) {
    throw overQuota(organization.name, usedMb, wanted.region);
  }
}

/** A trial's allowance of running time; starts are refused without it too. */
export function requireTrialTime(world: World, organization: Organization): void {
  const { trialSinceMs } = organization;
  if (trialSinceMs === null) return;
  const now = world.now();
  const over = now >= trialSinceMs + TRIAL.days * 86_400_000;
  const usedMs = machinesOf(world, organization, true)
    .reduce((sum, machine) => sum + upMs(machine, now), 0);
  if (over || usedMs >= TRIAL.vmMs) throw billingRefusal(world, "payment-information");
}

function requireTrial(world: World, organization: Organization, { config }: Placement): void {
  requireTrialTime(world, organization);
  const { cpu_kind: kind, cpus, memory_mb: memory } = config.guest;
  if (kind === "performance" || cpus > TRIAL.cpus || memory > TRIAL.memoryMb) {
    throw billingRefusal(world, "payment-information");
  }
}

function machinesOf(world: World, { slug }: Organization, alsoGone = false): Machine[] {
  const now = world.now();
  return world.machines().filter((machine) =>
    (alsoGone || machine.live(now)) && world.app(machine.identity.app)?.organization === slug
  );
}

/** How long it was `started`, in milliseconds. */
function upMs(machine: Machine, nowMs: number): number {
  const history = machine.history(nowMs);
  return history.reduce(
    (sum, { state, at }, index) =>
      state === "started" ? sum + (history[index + 1]?.at ?? nowMs) - at : sum,
    0,
  );
}

function billingRefusal(world: World, billing: Billing): FlyRefusal {
  return new FlyRefusal(world.pick(...BILLING_STATUSES), BILLING_TEXTS[billing]);
}

/** Recorded by terraform-provider-fly and others, seen at 20 Machines. */
const machineLimitReached = (): FlyRefusal =>
  new FlyRefusal(
    422,
    "Your organization has reached its machine limit. Please contact billing@fly.io",
  );

/** Recorded: Kilo-Org/cloud#516. It has nothing to do with the token. */
const overQuota = (organization: string, usedMb: number, region: string): FlyRefusal =>
  new FlyRefusal(
    403,
    `organization "${organization}" is using ${usedMb} MB of memory in ${region} which is over ` +
      "the allowed quota. please consider other regions",
  );

/** An organization has a limit of apps (hexclave); figure, status and text are not recorded. */
export const appLimitReached = (): FlyRefusal =>
  new FlyRefusal(
    422,
    "Your organization has reached its app limit. Please contact billing@fly.io",
  );
