/**
 * Compares answers with the committed description of the API: any status, header, field or code
 * that it does not declare is a mistake of one of them.
 */
import { z } from "zod";
import { ROUTES } from "../../supabase/functions/provision-machine/routes.ts";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";
import { matchRoute } from "../../supabase/functions/provision-machine/http/router.ts";
import { OPENAPI } from "../../supabase/functions/provision-machine/openapi/document.ts";

/** An answer, and the call that it answers. */
export interface AnsweredCall {
  method: string;
  /** As the function saw it, without the query. */
  path: string;
  status: number;
  headers: Headers;
  /** Null for an empty body. */
  body: unknown;
}

const refs = z.record(z.string(), z.unknown());
const Answer = z.object({
  headers: refs,
  content: z.record(z.string(), z.object({ schema: refs })),
});
const Document = z.object({
  paths: z.record(
    z.string(),
    z.record(z.string(), z.object({ responses: z.record(z.string(), Answer) })),
  ),
  components: z.object({ schemas: z.record(z.string(), refs) }),
});

const { paths, components: { schemas } } = Document.parse(OPENAPI);

/** What HTTP servers and CORS add to any answer. */
const EVERYWHERE = [
  "connection",
  "content-type",
  "content-length",
  "content-encoding",
  "transfer-encoding",
  "date",
  "vary",
];

/** The answers of calls that lead to no route: the description names them in its own words. */
const ELSEWHERE: Record<string, { status: number; headers: string[] }> = {
  not_found: { status: 404, headers: ["x-request-id"] },
  method_not_allowed: { status: 405, headers: ["x-request-id", "allow"] },
};

/** What is wrong with the answer; empty if all of it is declared. */
export function undeclared(call: AnsweredCall): string[] {
  const { method, path, status, headers, body } = call;
  // HTTP says all that there is to say of a preflight, and HEAD has no body to judge.
  if (method === "OPTIONS" || method === "HEAD") return [];
  const operation = operationOf(method, path);
  if (typeof operation === "string") {
    const expected = ELSEWHERE[operation];
    if (expected?.status !== status) return [`HTTP ${status} where no route is`];
    return [
      ...undeclaredHeaders(headers, expected.headers),
      ...wrongBody(operation, { $ref: `#/components/schemas/${operation}` }, body),
    ];
  }
  const answer = operation.responses[status];
  if (answer === undefined) return [`HTTP ${status} is not declared`];
  const mediaType = headers.get("content-type")?.split(";")[0] ?? "";
  const content = answer.content[mediaType];
  if (content === undefined) return [`${mediaType} is not declared for HTTP ${status}`];
  return [
    ...undeclaredHeaders(headers, Object.keys(answer.headers)),
    ...wrongBody(`${operation.name} ${status}`, content.schema, body),
  ];
}

/** The operation of a call, or the code of the error where there is none. */
function operationOf(method: string, path: string) {
  try {
    const { route } = matchRoute(ROUTES, method, path);
    const below = route.path === "/" ? "" : route.path;
    const operation = paths[`/provision-machine${below}`]?.[method.toLowerCase()];
    return { name: `${method} ${route.path}`, responses: operation?.responses ?? {} };
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
}

function undeclaredHeaders(headers: Headers, declared: readonly string[]): string[] {
  return [...headers.keys()].filter((name) =>
    !declared.includes(name) && !EVERYWHERE.includes(name) && !name.startsWith("access-control-")
  ).map((name) => `the header ${name} is not declared`);
}

const compiled = new Map<string, z.ZodType>();

function wrongBody(name: string, schema: Record<string, unknown>, body: unknown): string[] {
  const check = compiled.get(name) ??
    z.fromJSONSchema(z.record(z.string(), z.any()).parse(inline(schema)));
  compiled.set(name, check);
  const parsed = check.safeParse(body);
  return parsed.success ? [] : [`${z.prettifyError(parsed.error)}: ${JSON.stringify(body)}`];
}

/** A schema with what its references stand for in their place; none of them is recursive. */
function inline(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(inline);
  if (typeof node !== "object" || node === null) return node;
  if ("$ref" in node) return inline(schemas[String(node.$ref).split("/").at(-1) ?? ""]);
  return Object.fromEntries(
    Object.entries(node).filter(([key]) => key !== "discriminator")
      .map(([key, value]) => [key, inline(value)]),
  );
}
