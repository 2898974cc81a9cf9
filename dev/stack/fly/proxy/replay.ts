/** `fly-replay` answers: https://fly.io/docs/networking/dynamic-request-routing/ */
import { z } from "zod";
import { ProxyError } from "./proxy-error.ts";
import { regionList } from "../world/region-groups.ts";

export const REPLAY_JSON = "application/vnd.fly.replay+json";

const durationSchema = z.string().regex(/^\d+(ms|s|m)$/).transform((text) => {
  const unit = text.endsWith("ms") ? 1 : text.endsWith("s") ? 1_000 : 60_000;
  return Number.parseInt(text) * unit;
});

const app = z.string().regex(/^[a-z0-9-]+$/);
const id = z.string().regex(/^[a-z0-9]+$/);

/** A field that the page does not name makes the whole answer invalid: what Fly.io does is not known. */
const headerSchema = z.strictObject({
  app: app.optional(),
  region: z.string().min(1).transform(regionList).optional(),
  instance: id.optional(),
  prefer_instance: id.optional(),
  state: z.string().optional(),
  elsewhere: z.enum(["true", "false"]).transform((value) => value === "true").optional(),
  timeout: durationSchema.optional(),
  fallback: z.enum(["force_self", "prefer_self"]).optional(),
});

const jsonSchema = headerSchema.extend({
  elsewhere: z.boolean().optional(),
  transform: z.strictObject({
    path: z.string().startsWith("/").optional(),
    delete_headers: z.array(z.string()).default([]),
    set_headers: z.array(z.strictObject({ name: z.string(), value: z.string() })).default([]),
  }).optional(),
  cache: z.strictObject({
    prefix: z.string().optional(),
    ttl: z.number().optional(),
    invalidate: z.boolean().optional(),
    allow_bypass: z.boolean().optional(),
  }).optional(),
});

export type Replay = z.infer<typeof jsonSchema>;

/**
 * Reads an answer's `fly-replay` header, or its body when the content type says so.
 *
 * @throws {ProxyError} PA03 when it is invalid.
 */
export function parseReplay(header: string | undefined, body: string): Replay {
  const replay = header === undefined ? parseJson(body) : parseHeader(header);
  if (Object.keys(replay).length === 0) throw invalidReplay("it names no target");
  if (replay.instance !== undefined && replay.prefer_instance !== undefined) {
    throw invalidReplay("it has both instance and prefer_instance");
  }
  return replay;
}

function parseHeader(header: string): Replay {
  const fields = [...header.matchAll(/\s*([^=;]+)=("[^"]*"|[^;]*)(?:;|$)/gy)];
  const read = fields.reduce((length, [text]) => length + text.length, 0);
  if (fields.length === 0 || read !== header.length) throw invalidReplay("it cannot be read");
  const values: Record<string, string> = {};
  for (const [, name = "", value = ""] of fields) {
    const key = name.trim();
    if (Object.hasOwn(values, key)) throw invalidReplay(`it has ${key} twice`);
    if (key === "region" && value.includes(",") && !value.startsWith('"')) {
      throw invalidReplay("a list of regions must be quoted");
    }
    values[key] = value.replace(/^"(.*)"$/, "$1").trim();
  }
  const parsed = headerSchema.safeParse(values);
  if (!parsed.success) throw invalidReplay(z.prettifyError(parsed.error));
  return parsed.data;
}

function parseJson(body: string): Replay {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (error) {
    if (error instanceof SyntaxError) throw invalidReplay("its body is no JSON");
    throw error;
  }
  const parsed = jsonSchema.safeParse(value);
  if (!parsed.success) throw invalidReplay(z.prettifyError(parsed.error));
  return parsed.data;
}

/** PA03. */
export function invalidReplay(why: string): ProxyError {
  return new ProxyError("PA03", 502, `invalid fly-replay: ${why}`);
}
