/** What the control endpoint can be asked for. */
import { z } from "zod";
import { NO_ROOM_NAMES } from "../world/hosts.ts";
import { CAPACITY_VARIANT_NAMES } from "../world/regions.ts";
import type { FlyFaultRule } from "./fault-rules.ts";
import { settingsPatchSchema } from "./settings.ts";
import type { FlySimulator } from "./simulator.ts";

const regionSchema = z.strictObject({
  capacity: z.boolean().optional(),
  /** The region that replaces it; null brings it back. */
  retiredFor: z.string().nullable().optional(),
  /** Whether lists have the region's Machines; `error_regions` names one that does not answer. */
  answers: z.boolean().optional(),
  variant: z.enum(CAPACITY_VARIANT_NAMES).optional(),
});

const failureSchema = z.strictObject({
  state: z.enum(["failed", "stopped", "launch_failed"]).optional(),
  exitCode: z.int().optional(),
  reason: z.string().optional(),
});

const appSchema = z.strictObject({
  name: z.string().min(1),
  organization: z.string().optional(),
  network: z.string().optional(),
});

const tokenSchema = z.strictObject({
  token: z.string().min(1),
  organization: z.string().optional(),
  apps: z.array(z.string()).optional(),
  readOnly: z.boolean().optional(),
  expiresAtMs: z.number().optional(),
  expiredStatus: z.union([z.literal(401), z.literal(403)]).optional(),
});

const organizationSchema = z.strictObject({
  machineLimit: z.int().min(0).nullable().optional(),
  appLimit: z.int().min(0).nullable().optional(),
  memoryQuotasMb: z.record(z.string(), z.number()).optional(),
  billing: z.enum(["payment-information", "second-machine"]).nullable().optional(),
  /** A trial that begins now. */
  trial: z.boolean().optional(),
});

const imageSchema = z.strictObject({
  image: z.string().min(1),
  /** For how long its manifest is unknown, from now on. */
  missingForMs: z.number().min(0).optional(),
  tooLarge: z.boolean().optional(),
});

const exitSchema = z.strictObject({
  exitCode: z.int().optional(),
  oomKilled: z.boolean().optional(),
  times: z.int().min(1).max(1000).optional(),
  uptimeMs: z.number().min(0).optional(),
});

const tamperSchema = z.strictObject({
  by: z.string().optional(),
  metadata: z.record(z.string(), z.string().nullable()),
});

const hostSchema = z.strictObject({
  status: z.enum(["ok", "unknown", "unreachable"]).optional(),
  destroys: z.enum(["hangs", "503", "destroying"]).optional(),
  noRoom: z.enum(NO_ROOM_NAMES).nullable().optional(),
  deploys: z.boolean().optional(),
});

const leaseSchema = z.strictObject({
  ttlSeconds: z.int().min(1).optional(),
  owner: z.string().optional(),
});

/** The members that were given: an absent one leaves things as they are. */
function given<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

type Handler = (simulator: FlySimulator, body: unknown, params: readonly string[]) => unknown;

const ok = { ok: true };

/** Method, path below the prefix with `*` for a parameter, and what it does. */
export const CONTROL_ROUTES:
  readonly (readonly [method: string, path: string, handler: Handler])[] = [
    // The list itself checks the fault's form.
    ["POST", "faults", (simulator, body) => ({ id: simulator.addFault(body as FlyFaultRule) })],
    ["GET", "faults", (simulator) => ({ faults: simulator.pendingFaults() })],
    ["DELETE", "faults", (simulator) => {
      simulator.clearFaults();
      return ok;
    }],
    ["POST", "regions/*", (simulator, body, [region = ""]) => {
      const { capacity, variant, answers, retiredFor } = regionSchema.parse(body);
      const { regions } = simulator.world;
      if (capacity !== undefined) regions.setCapacity(region, capacity, variant);
      if (answers !== undefined) regions.setAnswers(region, answers);
      if (retiredFor !== undefined) regions.setRetired(region, retiredFor);
      return { full: regions.full(), silent: regions.silent() };
    }],
    ["POST", "settings", (simulator, body) => {
      return { settings: simulator.configure(given(settingsPatchSchema.parse(body))) };
    }],
    ["POST", "apps", (simulator, body) => {
      const { name, organization, network } = appSchema.parse(body);
      return simulator.addApp(name, organization, network);
    }],
    ["POST", "tokens", (simulator, body) => {
      simulator.setToken(tokenSchema.parse(body));
      return ok;
    }],
    ["GET", "state", (simulator) => ({
      nowMs: simulator.world.now(),
      apps: simulator.world.apps(),
      addresses: simulator.world.addresses.all(),
      machines: simulator.machines(),
      fullRegions: simulator.world.regions.full(),
      faults: simulator.pendingFaults(),
      settings: simulator.settings,
    })],
    ["GET", "requests", (simulator) => ({ requests: simulator.requests() })],
    ["DELETE", "requests", (simulator) => {
      simulator.clearRequests();
      return ok;
    }],
    [
      "POST",
      "machines/*/fail",
      (simulator, body, [id = ""]) => simulator.failMachine(id, failureSchema.parse(body ?? {})),
    ],
    ["POST", "machines/*/kill", (simulator, _body, [id = ""]) => simulator.killMachine(id)],
    ["POST", "machines/*/stop", (simulator, _body, [id = ""]) => simulator.stopMachine(id)],
    [
      "POST",
      "machines/*/exit",
      ({ operator }, body, [id = ""]) => operator.exit(id, exitSchema.parse(body ?? {})),
    ],
    [
      "POST",
      "machines/*/tamper",
      ({ operator }, body, [id = ""]) => operator.tamper(id, tamperSchema.parse(body)),
    ],
    [
      "POST",
      "machines/*/host",
      ({ operator }, body, [id = ""]) => operator.setHost(id, given(hostSchema.parse(body))),
    ],
    ["POST", "machines/*/lease", ({ operator }, body, [id = ""]) => {
      const { ttlSeconds, owner } = leaseSchema.parse(body ?? {});
      operator.holdLease(id, ttlSeconds, owner);
      return ok;
    }],
    ["DELETE", "machines/*/lease", ({ operator }, _body, [id = ""]) => {
      operator.dropLease(id);
      return ok;
    }],
    ["POST", "organizations/*", ({ world }, body, [slug = ""]) => {
      const { trial, ...limits } = organizationSchema.parse(body);
      const organization = world.organizations.get(slug);
      Object.assign(organization, given(limits));
      if (trial !== undefined) organization.trialSinceMs = trial ? world.now() : null;
      const { networks: _networks, replaySources: _sources, ...plain } = organization;
      return plain;
    }],
    ["POST", "images", ({ world }, body) => {
      const { image, missingForMs, tooLarge } = imageSchema.parse(body);
      const missingUntilMs = missingForMs && world.now() + missingForMs;
      world.images.set(image, { missingUntilMs, tooLarge });
      return ok;
    }],
    ["POST", "reset", (simulator) => {
      simulator.reset();
      return ok;
    }],
  ];
