/** `GET /v1/tokens/current` and `POST /v1/apps/{app}/deploy_token` */
import { z } from "zod";
import { tokenText } from "../world/identifiers.ts";
import { appOf } from "./admission.ts";
import { invalidArgument } from "./errors.ts";
import { type AdmittedCall, type ApiAnswer, changed, parseBody, read } from "./handler.ts";

/**
 * What the tokens of the call are, in the members of the API's OpenAPI file. Which form `apps` has for a
 * token of the whole organization is not published: it is absent here.
 */
export function currentToken({ world, access }: AdmittedCall): ApiAnswer {
  return read({
    tokens: access.tokens.map(({ organization: slug = "personal", apps, user = null }, index) => ({
      token_id: `token-${index + 1}`,
      org_slug: slug,
      organization: world.organizations.get(slug).name,
      ...(apps === undefined ? {} : { apps: [...apps] }),
      user,
      restricted_to_machine: null,
      source_machine_id: null,
    })),
  });
}

const expirySchema = z.looseObject({ expiry: z.string().optional() });

const UNITS = { h: 3_600_000, m: 60_000, s: 1000 } as const;

/** A new token for one app. Without `expiry`, as with flyctl, it lives for 20 years (175,200 h). */
export function createDeployToken(call: AdmittedCall): ApiAnswer {
  const { world } = call;
  const app = appOf(call);
  const { expiry = "175200h" } = parseBody(call, expirySchema, "CreateDeployTokenRequest");
  const token = `FlyV1 ${tokenText(world.random)}`;
  world.tokens.set({
    token,
    organization: app.organization,
    apps: [app.name],
    expiresAtMs: world.now() + goDuration(expiry),
  });
  return changed({ token });
}

/** One number and unit of Go's durations, such as `24h`, in milliseconds. */
function goDuration(text: string): number {
  const match = /^(\d+)([hms])$/.exec(text);
  const unit = match?.[2];
  if (unit !== "h" && unit !== "m" && unit !== "s") throw invalidArgument(`expiry '${text}'`);
  return Number(match?.[1]) * UNITS[unit];
}
