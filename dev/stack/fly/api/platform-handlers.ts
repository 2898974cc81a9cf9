/** `GET /v1/platform/regions` */
import { type AdmittedCall, type ApiAnswer, read } from "./handler.ts";

/** Needs no token (announced on community.fly.io, topic 24843). */
export function listRegions({ world }: AdmittedCall): ApiAnswer {
  return read({
    Regions: world.regions.codes().map((code) => ({
      code,
      name: code,
      capacity: world.regions.capacityError(code) === undefined ? 1000 : 0,
    })),
  });
}
