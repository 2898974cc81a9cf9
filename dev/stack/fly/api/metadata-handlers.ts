/** Where calls about a Machine's metadata take effect. */
import { z } from "zod";
import { hostUnreachable } from "../world/hosts.ts";
import type { Machine } from "../world/machine.ts";
import { seenMachine } from "../world/visibility.ts";
import { invalidArgument, metadataNotFound, metadataVersionMismatch } from "./errors.ts";
import { type AdmittedCall, type ApiAnswer, changed, parseBody, read } from "./handler.ts";
import { refuseIfLeased } from "./lease-handlers.ts";

const valueSchema = z.looseObject({ value: z.string().optional() });

const bulkSchema = z.looseObject({
  metadata: z.record(z.string(), z.string().nullable()),
  machine_version: z.string().optional(),
});

/**
 * `GET …/metadata`, `PUT` and `PATCH` for many at once, and `GET`, `POST` with `{"value": "…"}` and
 * `DELETE` of `…/metadata/{key}`; writes answer 204. No new version and no restart.
 */
export function metadata(call: AdmittedCall): ApiAnswer {
  const { world, method, route, omitted } = call;
  const { machine } = seenMachine(world, route, omitted);
  const current = machine.identity.config.metadata ?? {};
  const key = route.metadataKey;
  if (method === "GET") {
    if (key === null) return read({ ...current });
    const value = current[key];
    if (value === undefined) throw metadataNotFound(key);
    return read({ value });
  }
  // That a lease and a host that is away stop this too is not published.
  refuseIfLeased(call, machine);
  if (machine.host.status !== "ok") throw hostUnreachable();
  if (key === "") throw invalidArgument("metadata key is required");
  machine.setMetadata(world.now(), key === null ? bulk(call, machine) : single(call, machine, key));
  return changed(undefined, 204);
}

function single(call: AdmittedCall, machine: Machine, key: string): Record<string, string> {
  const { [key]: _replaced, ...rest } = machine.identity.config.metadata ?? {};
  if (call.method === "DELETE") return rest;
  const { value } = parseBody(call, valueSchema, "metadataRequest");
  if (value === undefined) throw invalidArgument("value is required");
  return { ...rest, [key]: value };
}

/** null and the empty text remove a key (the API's OpenAPI file). */
function bulk(call: AdmittedCall, machine: Machine): Record<string, string> {
  const { metadata: given, machine_version: version } = parseBody(
    call,
    bulkSchema,
    "updateMetadataRequest",
  );
  if (version !== undefined && version !== machine.identity.instanceId) {
    throw metadataVersionMismatch();
  }
  const before = call.method === "PATCH" ? machine.identity.config.metadata ?? {} : {};
  return withChanges(before, given);
}

/** Metadata with these keys set, or removed where the value is null or empty. */
export function withChanges(
  before: Readonly<Record<string, string>>,
  changes: Readonly<Record<string, string | null>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries({ ...before, ...changes })
      .filter((entry): entry is [string, string] => entry[1] !== null && entry[1] !== ""),
  );
}
