/** The control endpoint: what `FlySimulator` offers behind the API, over HTTP. */
import { z } from "zod";
import { CONTROL_ROUTES } from "./control-routes.ts";
import type { Delivery } from "./delivery.ts";
import type { FlySimulator } from "./simulator.ts";

/** Every path of the control endpoint starts so; it needs no token and is no part of Fly.io's API. */
export const CONTROL_PREFIX = "/_control/";

/** Answers a request below `/_control/`. */
export async function answerControl(simulator: FlySimulator, request: Request): Promise<Delivery> {
  const path = new URL(request.url).pathname.slice(CONTROL_PREFIX.length);
  const matching = CONTROL_ROUTES.flatMap(([method, pattern, handler]) => {
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
