/** `GET|POST /v1/apps/{app}/ip_assignments` and `DELETE /v1/apps/{app}/ip_assignments/{ip}` */
import { z } from "zod";
import { type Address, ADDRESS_TYPES } from "../world/addresses.ts";
import type { App } from "../world/apps.ts";
import { appOf } from "./admission.ts";
import { addressExists, addressNotFound, addressTypeInvalid } from "./errors.ts";
import { type AdmittedCall, type ApiAnswer, changed, parseBody, read } from "./handler.ts";
import { timestamp } from "./machine-json.ts";

const assignSchema = z.looseObject({
  type: z.string().optional(),
  region: z.string().optional(),
  network: z.string().optional(),
  org_slug: z.string().optional(),
  service_name: z.string().optional(),
});

export function addresses(call: AdmittedCall): ApiAnswer {
  const { world, method, route } = call;
  const app = appOf(call);
  if (method === "POST") return assign(call, app);
  if (route.ip !== null) {
    if (!world.addresses.remove(app.id, route.ip)) throw addressNotFound();
    return changed(undefined, 204);
  }
  const now = world.now();
  const listed = world.addresses.of(app.id).filter(({ listedAtMs }) => now >= listedAtMs);
  return read({ ips: listed.map(addressJson) });
}

function assign(call: AdmittedCall, app: App): ApiAnswer {
  const { world } = call;
  const body = parseBody(call, assignSchema, "AssignIPRequest");
  const type = ADDRESS_TYPES.find((known) => known === body.type);
  if (type === undefined) throw addressTypeInvalid();
  const now = world.now();
  const { newAddressDelayMs, repeatedSharedV4, repeatedV6 } = world.settings;
  const add = (type: Address["type"]) =>
    world.addresses.add({
      type,
      appId: app.id,
      region: body.region || (type === "v6" ? "global" : ""),
      serviceName: body.service_name ?? "",
      // A Flycast address does not default to the app's own network (docs, warm-pool-user-machines).
      network: type === "private_v6"
        ? { name: body.network ?? "", org_slug: body.org_slug ?? app.organization }
        : null,
      createdAtMs: now,
      listedAtMs: now + world.draw(newAddressDelayMs),
    });
  if (type === "egress_pair") {
    const v4 = add("egress_v4");
    const v6 = add("egress_v6");
    return changed({ ...addressJson(v4), ip: null, ip_pair: { v4: v4.ip, v6: v6.ip } });
  }
  const first = world.addresses.of(app.id).find((address) => address.type === type);
  const again = type === "shared_v4" ? repeatedSharedV4 : type === "v6" ? repeatedV6 : "second";
  if (first === undefined || again === "second") return changed(addressJson(add(type)));
  if (again === "same") return read(addressJson(first));
  throw addressExists(again === "409" ? 409 : 422);
}

/** An address without its type, as fly-go's `IPAssignment` has it. */
function addressJson(address: Address): Record<string, unknown> {
  return {
    ip: address.ip,
    region: address.region,
    created_at: timestamp(address.createdAtMs),
    shared: address.type === "shared_v4",
    service_name: address.serviceName,
    egress: address.type.startsWith("egress_"),
    network: address.network,
  };
}
