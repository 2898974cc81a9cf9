/**
 * The API as OpenAPI 3.1, from the table of routes, the operations, the schemas and the table of
 * codes. https://spec.openapis.org/oas/v3.1.1.html
 */
import { z } from "zod";
import { CODES, type ErrorCode } from "../../supabase/functions/provision-machine/errors.ts";
import { ROUTES } from "../../supabase/functions/provision-machine/routes.ts";
import { errorSchema } from "./errors.ts";
import {
  type HeaderName,
  HEADERS,
  type Operation,
  OPERATIONS,
  REQUEST_HEADERS,
  type RequestHeader,
  type Success,
} from "./operations.ts";
import { SCHEMAS } from "./schemas.ts";

type Json = Record<string, unknown>;

/** Headers that go with one code alone. */
const HEADERS_OF_CODES: Partial<Record<ErrorCode, HeaderName>> = {
  unauthorized: "www-authenticate",
  method_not_allowed: "allow",
  unsupported_media_type: "accept",
};

const SECURITY = {
  "user-or-service": [{ user: [] }, { service: [] }],
  service: [{ service: [] }],
  anyone: [],
};

/** Throws when a route has no operation, or an operation no route. */
export function openApiDocument(): Json {
  const paths: Record<string, Json> = {};
  const left = new Set(Object.keys(OPERATIONS));
  for (const { method, path, access } of ROUTES) {
    const name = `${method} ${path}`;
    const operation = OPERATIONS[name];
    if (operation === undefined) throw new Error(`dev/openapi/operations.ts lacks ${name}`);
    left.delete(name);
    const item = paths[`/provision-machine${path === "/" ? "" : path}`] ??= {};
    item[method.toLowerCase()] = describe(path, operation, SECURITY[access]);
  }
  if (left.size > 0) throw new Error(`routes.ts lacks ${[...left].join(", ")}`);
  return {
    openapi: "3.1.1",
    info: {
      title: "provision-machine",
      version: "1",
      description: "Gives a signed-in user a machine at Fly.io. Any other path answers 404 " +
        "`not_found`, any other method 405 `method_not_allowed`.",
    },
    servers: [{
      url: "https://{projectRef}.supabase.co/functions/v1",
      variables: { projectRef: { default: "project-ref" } },
    }],
    paths,
    components: {
      schemas: schemas(),
      headers: mapValues(HEADERS, (description) => ({ description, schema: { type: "string" } })),
      parameters: mapValues(
        REQUEST_HEADERS,
        (description, name) => ({ name, in: "header", description, schema: { type: "string" } }),
      ),
      securitySchemes: {
        user: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description: "A signed-in user's access token",
        },
        service: {
          type: "apiKey",
          in: "header",
          name: "apikey",
          description: "A secret key of the project",
        },
      },
    },
  };
}

function describe(path: string, operation: Operation, security: Json[]): Json {
  const { summary, request, keyed = false, answers, codes } = operation;
  const headers: RequestHeader[] = [
    ...(keyed ? ["Idempotency-Key", "Prefer"] as const : []),
    "x-request-id",
    "traceparent",
  ];
  return {
    summary,
    security,
    parameters: [
      ...(path.includes("{machineId}")
        ? [{ name: "machineId", in: "path", required: true, schema: { type: "string" } }]
        : []),
      ...headers.map((name) => ({ $ref: `#/components/parameters/${name}` })),
    ],
    ...(request === undefined
      ? {}
      : { requestBody: { content: { "application/json": { schema: refTo(request) } } } }),
    responses: {
      ...mapValues(answers, (answer) => success(answer, keyed)),
      ...errors(codes, keyed, answers),
    },
  };
}

function success(
  { description, schema, mediaType = "application/json", headers = [] }: Success,
  keyed: boolean,
): Json {
  return {
    description,
    headers: headerRefs([
      "x-request-id",
      ...(keyed ? ["idempotency-replayed"] as const : []),
      ...headers,
    ]),
    content: { [mediaType]: { schema: refTo(schema) } },
  };
}

/** An answer for each status that is not one of a success. */
function errors(codes: readonly ErrorCode[], keyed: boolean, answers: object): Json {
  const byStatus = Map.groupBy(codes, (code) => CODES[code].status);
  return Object.fromEntries(
    [...byStatus].filter(([status]) => !Object.hasOwn(answers, status)).map(([status, codes]) => [
      status,
      {
        description: codes.join(", "),
        headers: headerRefs([
          "x-request-id",
          "retry-after",
          ...(keyed ? ["idempotency-replayed"] as const : []),
          ...codes.flatMap((code) => HEADERS_OF_CODES[code] ?? []),
        ]),
        content: {
          "application/json": {
            schema: codes.length === 1
              ? refTo(codes[0])
              : { oneOf: codes.map(refTo), discriminator: { propertyName: "code" } },
          },
        },
      },
    ]),
  );
}

/** The component of an error has the name of its code, as the discriminator expects. */
function schemas(): Json {
  const toJson = (schema: z.ZodType) => {
    const { $schema: _, ...json } = z.toJSONSchema(schema);
    return json;
  };
  return {
    ...mapValues(SCHEMAS, toJson),
    ...mapValues(CODES, (_, code) => toJson(errorSchema(code))),
  };
}

function refTo(name: string | undefined): Json {
  return { $ref: `#/components/schemas/${name}` };
}

function headerRefs(names: HeaderName[]): Json {
  return Object.fromEntries(
    names.map((name) => [name, { $ref: `#/components/headers/${name}` }]),
  );
}

function mapValues<K extends string | number, V, T>(
  record: Readonly<Record<K, V>>,
  map: (value: V, key: K) => T,
): Record<string, T> {
  return Object.fromEntries(
    Object.entries<V>(record).map(([key, value]) => [key, map(value, key as K)]),
  );
}
