/** The control endpoint: what `FlySimulator` offers behind the API, over HTTP. */
import { z } from "zod";
import type { Delivery } from "./delivery.ts";
import type { FlyFaultRule } from "./fault-rules.ts";
import type { FlySimulator } from "./simulator.ts";
import { CAPACITY_VARIANT_NAMES } from "../world/regions.ts";
import { settingsPatchSchema } from "./settings.ts";

/** Every path of the control endpoint starts so; it needs no token and is no part of Fly.io's API. */
export const CONTROL_PREFIX = "/_control/";

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

type Handler = (simulator: FlySimulator, body: unknown, params: readonly string[]) => unknown;

/** Method, path below the prefix with `*` for a parameter, and what it does. */
const ROUTES: readonly (readonly [method: string, path: string, handler: Handler])[] = [
  // The list itself checks the fault's form.
  ["POST", "faults", (simulator, body) => ({ id: simulator.addFault(body as FlyFaultRule) })],
  ["GET", "faults", (simulator) => ({ faults: simulator.pendingFaults() })],
  ["DELETE", "faults", (simulator) => {
    simulator.clearFaults();
    return { ok: true };
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
    const patch = settingsPatchSchema.parse(body);
    const given = Object.entries(patch).filter(([, value]) => value !== undefined);
    return { settings: simulator.configure(Object.fromEntries(given)) };
  }],
  ["POST", "apps", (simulator, body) => {
    const { name, organization, network } = appSchema.parse(body);
    return simulator.addApp(name, organization, network);
  }],
  ["POST", "tokens", (simulator, body) => {
    simulator.setToken(tokenSchema.parse(body));
    return { ok: true };
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
    return { ok: true };
  }],
  [
    "POST",
    "machines/*/fail",
    (simulator, body, [id = ""]) => simulator.failMachine(id, failureSchema.parse(body ?? {})),
  ],
  ["POST", "machines/*/kill", (simulator, _body, [id = ""]) => simulator.killMachine(id)],
  ["POST", "machines/*/stop", (simulator, _body, [id = ""]) => simulator.stopMachine(id)],
  ["POST", "reset", (simulator) => {
    simulator.reset();
    return { ok: true };
  }],
];

/** Answers a request below `/_control/`. */
export async function answerControl(simulator: FlySimulator, request: Request): Promise<Delivery> {
  const path = new URL(request.url).pathname.slice(CONTROL_PREFIX.length);
  const matching = ROUTES.flatMap(([method, pattern, handler]) => {
    const params = matchPath(pattern, path);
    return params === null ? [] : [{ method, handler, params }];
  });
  const found = matching.find(({ method }) => method === request.method);
  if (found === undefined) {
    const allowed = matching.map(({ method }) => method).join(", ");
    return matching.length === 0
      ? json(404, { error: `no control path "${path}"` })
      : json(405, { error: `use ${allowed}` }, { allow: allowed });
  }
  const text = await request.text();
  try {
    return json(
      200,
      found.handler(simulator, text === "" ? undefined : JSON.parse(text), found.params),
    );
  } catch (error) {
    if (error instanceof z.ZodError) return json(400, { error: z.prettifyError(error) });
    if (error instanceof SyntaxError) return json(400, { error: `invalid JSON: ${error.message}` });
    if (error instanceof RangeError) return json(404, { error: error.message });
    throw error;
  }
}

function matchPath(pattern: string, path: string): string[] | null {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return null;
  const params: string[] = [];
  for (const [index, segment] of wanted.entries()) {
    const value = given[index] ?? "";
    if (segment === "*") params.push(value);
    else if (segment !== value) return null;
  }
  return params;
}

function json(status: number, body: unknown, headers: Record<string, string> = {}): Delivery {
  return {
    kind: "answer",
    status,
    headers: { "content-type": "application/json; charset=utf-8", ...headers },
    body: JSON.stringify(body),
  };
}
