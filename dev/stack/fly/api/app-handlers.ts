/** `GET /v1/apps`, `POST /v1/apps`, `GET /v1/apps/{app}` and `DELETE /v1/apps/{app}` */
import { z } from "zod";
import type { App } from "../world/apps.ts";
import { appLimitReached } from "../world/limits.ts";
import type { World } from "../world/world.ts";
import { appOf } from "./admission.ts";
import {
  APP_NAME_TAKEN,
  appNameInvalid,
  FlyRefusal,
  forbidden,
  invalidArgument,
  networkInvalid,
} from "./errors.ts";
import { type AdmittedCall, type ApiAnswer, changed, flag, parseBody, read } from "./handler.ts";

const createSchema = z.looseObject({
  app_name: z.string().optional(),
  /** fly-go sends `name`, the documentation `app_name`. */
  name: z.string().optional(),
  org_slug: z.string().optional(),
  network: z.string().optional(),
  idempotency_key: z.string().optional(),
});

export function apps(call: AdmittedCall): ApiAnswer {
  const { method, route } = call;
  if (route.app === null) return method === "POST" ? createApp(call) : listApps(call);
  const app = appOf(call);
  return method === "DELETE" ? deleteApp(call, app) : read(appJson(call.world, app));
}

function listApps({ world, query, access }: AdmittedCall): ApiAnswer {
  const organization = query.get("org_slug");
  if (!organization) throw invalidArgument("org_slug is required");
  if (!access.reachesOrganization(organization, { write: false })) throw forbidden();
  const now = world.now();
  const found = world.apps().filter((app) =>
    app.organization === organization && now >= app.listedAtMs
  );
  return read({
    total_apps: found.length,
    apps: found.map((app) => ({
      id: app.id,
      name: app.name,
      machine_count: world.liveMachines(app.name).length,
      volume_count: 0,
      network: app.network,
    })),
  });
}

function createApp(call: AdmittedCall): ApiAnswer {
  const { world, access } = call;
  const body = parseBody(call, createSchema, "CreateAppRequest");
  const { org_slug: organization, network, idempotency_key: key } = body;
  const name = body.app_name ?? body.name ?? "";
  if (!organization) throw invalidArgument("org_slug is required");
  if (!access.reachesOrganization(organization, { write: true })) throw forbidden();
  const now = world.now();
  const before = key && world.appRegistry.recall(key, now, world.settings.appIdempotencyMs);
  if (before) return repeatedCreate(before, name, organization);
  if (!/^[a-z0-9][a-z0-9-]{0,61}$/.test(name)) throw appNameInvalid();
  if (network && !/^[A-Za-z][A-Za-z0-9-]*$/.test(network)) throw networkInvalid();
  if (world.appRegistry.nameTaken(name, now)) throw APP_NAME_TAKEN[world.settings.appNameTaken]();
  const { appLimit } = world.organizations.get(organization);
  const count = world.apps().filter((app) => app.organization === organization).length;
  if (appLimit !== null && count >= appLimit) throw appLimitReached();
  const app = world.createApp(name, organization, network || "default");
  if (key) world.appRegistry.remember(key, app, now);
  return changed({ id: app.id, created_at: now }, 201);
}

/**
 * The same `idempotency_key` again, with the same name or none, gives the first app back, and with
 * another name is refused (the API's OpenAPI file). It does so when the app is gone since: not published.
 */
function repeatedCreate(before: App, name: string, organization: string): ApiAnswer {
  if ((name !== "" && name !== before.name) || organization !== before.organization) {
    throw new FlyRefusal(422, "idempotency_key was used for another app");
  }
  return { status: 201, json: { id: before.id, created_at: before.createdAtMs }, effect: false };
}

/** Without `force`, Machines must be stopped first (documented; the refusal is ours). */
function deleteApp({ world, query }: AdmittedCall, app: App): ApiAnswer {
  const now = world.now();
  const running = world.liveMachines(app.name).some((machine) =>
    !["stopped", "suspended", "failed"].includes(machine.state(now))
  );
  if (running && !flag(query, "force")) {
    throw new FlyRefusal(412, "failed_precondition: app still has machines");
  }
  world.deleteApp(app);
  return changed(undefined, 202);
}

function appJson(world: World, app: App): Record<string, unknown> {
  const { slug, name, numericId } = world.organizations.get(app.organization);
  return {
    id: app.id,
    name: app.name,
    internal_numeric_id: app.numericId,
    status: status(world, app),
    machine_count: world.liveMachines(app.name).length,
    volume_count: 0,
    network: app.network,
    organization: { name, slug, internal_numeric_id: numericId },
  };
}

/** `suspended` when no Machine is up (recorded by DayriseA/checkout-surge): it has nothing to do with billing. */
function status(world: World, app: App): string {
  const machines = world.liveMachines(app.name);
  if (machines.length === 0) return "pending";
  const now = world.now();
  const asleep = machines.every((machine) => ["stopped", "suspended"].includes(machine.state(now)));
  return asleep ? "suspended" : "deployed";
}
