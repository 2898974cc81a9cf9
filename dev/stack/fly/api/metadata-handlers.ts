/** Where calls about a Machine's metadata take effect. */
import { z } from "zod";
import { type AdmittedCall, type ApiAnswer, changed, jsonBody, read } from "./handler.ts";
import { invalidArgument } from "./errors.ts";
import { seenMachine } from "../world/visibility.ts";
import { typeError } from "../world/machine-config.ts";

const valueSchema = z.looseObject({ value: z.string().optional() });

/**
 * `GET …/metadata`, `POST …/metadata/{key}` with `{"value": "…"}` and `DELETE …/metadata/{key}`; the
 * last two answer 204 without a body.
 */
export function metadata(call: AdmittedCall): ApiAnswer {
  const { world, method, route, omitted } = call;
  const { machine } = seenMachine(world, route, omitted);
  const current = machine.identity.config.metadata ?? {};
  const key = route.metadataKey;
  if (method === "GET" || key === null) return read({ ...current });
  if (key === "") throw invalidArgument("metadata key is required");
  if (method === "DELETE") {
    const { [key]: _removed, ...rest } = current;
    machine.setMetadata(world.now(), rest);
    return changed(undefined, 204);
  }
  const body = jsonBody(call);
  const parsed = valueSchema.safeParse(body);
  if (!parsed.success) throw typeError("metadataRequest", body, parsed.error);
  if (parsed.data.value === undefined) throw invalidArgument("value is required");
  machine.setMetadata(world.now(), { ...current, [key]: parsed.data.value });
  return changed(undefined, 204);
}
