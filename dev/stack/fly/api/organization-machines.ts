/**
 * `GET /v1/orgs/{slug}/machines`: the Machines of every app, a page at a time, oldest change first, as
 * the API's OpenAPI file has it.
 */
import type { Machine } from "../world/machine.ts";
import { seenAt } from "../world/visibility.ts";
import { forbidden, invalidArgument } from "./errors.ts";
import { type AdmittedCall, type ApiAnswer, flag, read } from "./handler.ts";
import { timestamp } from "./machine-json.ts";

/** Where the next page begins: after this change, or with an empty page first. */
interface Cursor {
  updatedAtMs: number;
  id: string;
  pause: boolean;
}

interface Seen {
  machine: Machine;
  asOfMs: number;
  updatedAtMs: number;
}

export function organizationMachines(call: AdmittedCall): ApiAnswer {
  const { world, route, query, access } = call;
  const organization = route.organization ?? "";
  if (!access.reachesOrganization(organization, { write: false })) throw forbidden();
  const limit = Math.min(pageLimit(query.get("limit")), world.settings.organizationPageMax);
  const from = parseCursor(query.get("cursor"));
  const found = from?.pause
    ? []
    : matching(call, organization).filter((seen) => isAfter(seen, from));
  const page = found.slice(0, limit);
  const last = page.at(-1);
  const next = from?.pause
    ? { ...from, pause: false }
    : last !== undefined && found.length > page.length
    ? {
      updatedAtMs: last.updatedAtMs,
      id: last.machine.identity.id,
      pause: world.settings.emptyPages,
    }
    : undefined;
  const withConfig = !flag(query, "summary");
  return read({
    machines: page.map((seen) => organizationMachineJson(seen, withConfig)),
    // Which form the end has is not published: the member is absent.
    ...(next === undefined ? {} : { next_cursor: btoa(JSON.stringify(next)) }),
    ...(last === undefined ? {} : {
      last_machine_id: last.machine.identity.id,
      last_updated_at: exact(last.updatedAtMs),
    }),
    error_regions: world.regions.silent(),
  });
}

/** What the query asks for, oldest change first. A cursor wins over `updated_after`. */
function matching({ world, query, omitted }: AdmittedCall, organization: string): Seen[] {
  const apps = new Set(
    world.apps().filter((app) => app.organization === organization).map(({ name }) => name),
  );
  const region = query.get("region");
  const states = (query.get("state") ?? "").split(",").filter((state) => state !== "");
  const afterMs = query.get("cursor") ? -Infinity : updatedAfter(query.get("updated_after"));
  return world.machines()
    .filter(({ identity }) => apps.has(identity.app) && world.regions.answers(identity.region))
    .filter(({ identity }) => !region || identity.region === region)
    .flatMap((machine) => {
      const asOfMs = seenAt(world, machine, "organizationList", omitted);
      return asOfMs === null ? [] : [{ machine, asOfMs, updatedAtMs: machine.updatedAtMs(asOfMs) }];
    })
    .filter(({ machine, asOfMs, updatedAtMs }) => {
      const state = machine.state(asOfMs);
      return updatedAtMs > afterMs && (states.length === 0 || states.includes(state)) &&
        (state !== "destroyed" || flag(query, "include_deleted"));
    })
    .sort((a, b) => compare(a, { updatedAtMs: b.updatedAtMs, id: b.machine.identity.id }));
}

function isAfter(seen: Seen, cursor: Cursor | undefined): boolean {
  return cursor === undefined || compare(seen, cursor) > 0;
}

function compare(a: Seen, b: Pick<Cursor, "updatedAtMs" | "id">): number {
  return a.updatedAtMs - b.updatedAtMs ||
    (a.machine.identity.id < b.id ? -1 : +(a.machine.identity.id > b.id));
}

/** No events, checks or host status, whatever the query says. */
function organizationMachineJson({ machine, asOfMs, updatedAtMs }: Seen, withConfig: boolean) {
  const { id, name, app, region, instanceId, privateIp, createdAtMs, config } = machine.identity;
  const { image, guest, metadata = {} } = config;
  return {
    id,
    name,
    app_name: app,
    state: machine.state(asOfMs),
    region,
    version: instanceId,
    private_ip: privateIp,
    created_at: timestamp(createdAtMs),
    updated_at: exact(updatedAtMs),
    ...(withConfig ? { config: structuredClone({ image, guest, metadata }) } : {}),
  };
}

/** RFC 3339 with fractions, so that `updated_after` can go on where a page ended. */
function exact(ms: number): string {
  return new Date(ms).toISOString();
}

/** More than 1000 is refused: not published. */
function pageLimit(text: string | null): number {
  if (text === null) return 1000;
  const limit = Number(text);
  if (!/^\d+$/.test(text) || limit < 1 || limit > 1000) throw invalidArgument(`limit '${text}'`);
  return limit;
}

function updatedAfter(text: string | null): number {
  if (text === null) return -Infinity;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw invalidArgument(`updated_after '${text}'`);
  return ms;
}

function parseCursor(text: string | null): Cursor | undefined {
  if (!text) return undefined;
  try {
    const { updatedAtMs, id, pause } = JSON.parse(atob(text));
    return { updatedAtMs: Number(updatedAtMs), id: String(id), pause: pause === true };
  } catch {
    throw invalidArgument(`cursor '${text}'`);
  }
}
