/** Where calls about apps and regions take effect. */
import { z } from "zod";
import { type ApiAnswer, type ApiCall, changed, flag, jsonBody, read } from "./handler.ts";
import {
  appNameInvalid,
  appNameTaken,
  appNotFound,
  FlyRefusal,
  invalidArgument,
} from "./errors.ts";
import { destroy } from "../world/lifecycle.ts";
import { typeError } from "../world/machine-config.ts";
import type { App, World } from "../world/world.ts";

const createSchema = z.looseObject({
  app_name: z.string().optional(),
  /** fly-go sends `name`, the documentation `app_name`. */
  name: z.string().optional(),
  org_slug: z.string().optional(),
  network: z.string().optional(),
});

/** `GET /v1/apps`, `POST /v1/apps`, `GET /v1/apps/{app}` and `DELETE /v1/apps/{app}` */
export function apps(call: ApiCall): ApiAnswer {
  const { method, route } = call;
  if (route.app === null) return method === "POST" ? createApp(call) : listApps(call);
  const app = call.world.app(route.app);
  if (app === undefined) throw appNotFound();
  return method === "DELETE" ? deleteApp(call, app) : read(appJson(call.world, app));
}

function listApps({ world, query }: ApiCall): ApiAnswer {
  const organization = query.get("org_slug");
  if (!organization) throw invalidArgument("org_slug is required");
  const found = world.apps().filter((app) => app.organization === organization);
  return read({
    total_apps: found.length,
    apps: found.map((app) => ({
      id: app.id,
      name: app.name,
      machine_count: machineCount(world, app),
      volume_count: 0,
      network: app.network,
    })),
  });
}

function createApp(call: ApiCall): ApiAnswer {
  const body = jsonBody(call);
  const parsed = createSchema.safeParse(body);
  if (!parsed.success) throw typeError("CreateAppRequest", body, parsed.error);
  const name = parsed.data.app_name ?? parsed.data.name ?? "";
  const { org_slug: organization, network } = parsed.data;
  if (!organization) throw invalidArgument("org_slug is required");
  if (!/^[a-z0-9][a-z0-9-]{0,61}$/.test(name)) throw appNameInvalid();
  if (call.world.app(name)) throw appNameTaken();
  const app = call.world.addApp(name, organization, network || undefined);
  return changed({ id: app.id, created_at: call.world.now() }, 201);
}

/** Without `force`, an app with Machines is refused (documented; the text is ours). */
function deleteApp({ world, query }: ApiCall, app: App): ApiAnswer {
  const now = world.now();
  const live = world.machines(app.name).filter((machine) => machine.live(now));
  if (live.length > 0 && !flag(query, "force")) {
    throw new FlyRefusal(412, "failed_precondition: app still has machines");
  }
  for (const machine of live) destroy(machine, now, world.draw(world.settings.destroyDelayMs));
  world.removeApp(app.name);
  return changed(undefined, 202);
}

function appJson(world: World, app: App): Record<string, unknown> {
  const machines = machineCount(world, app);
  return {
    id: app.id,
    name: app.name,
    status: machines === 0 ? "pending" : "deployed",
    machine_count: machines,
    volume_count: 0,
    network: app.network,
    organization: { name: app.organization, slug: app.organization },
  };
}

function machineCount(world: World, app: App): number {
  const now = world.now();
  return world.machines(app.name).filter((machine) => machine.live(now)).length;
}

/** `GET /v1/platform/regions`, which needs no token (announced on community.fly.io, topic 24843). */
export function listRegions({ world }: ApiCall): ApiAnswer {
  return read({
    Regions: world.regions.codes().map((code) => ({
      code,
      name: code,
      capacity: world.regions.capacityError(code) === undefined ? 1000 : 0,
    })),
  });
}
