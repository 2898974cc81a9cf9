/** GET /provision-machine/openapi.json: what callers may send and what they get, for programs. */
import { jsonResponse } from "../http/responses.ts";
import { OPENAPI } from "./document.ts";

export function handleOpenApi(): Promise<Response> {
  return Promise.resolve(jsonResponse(200, OPENAPI));
}
