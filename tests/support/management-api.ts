/**
 * The endpoints of Supabase's Management API that `supabase functions deploy --use-api` calls, on
 * loopback. A call that the API's published description does not allow is refused, so that a
 * deploy which succeeds here was made of well-formed calls.
 *
 * https://api.supabase.com/api/v1 (`V1ProjectWithDatabaseResponse`, `FunctionDeployBody`,
 * `DeployFunctionResponse`)
 */
import { z } from "zod";

/** One accepted deploy. */
export interface UploadedFunction {
  slug: string;
  metadata: DeployMetadata;
  /** The content of each uploaded file, by its path in the upload. */
  files: ReadonlyMap<string, Uint8Array>;
}

/** The part `metadata` of a deploy. */
export type DeployMetadata = z.infer<typeof deployMetadata>;

/** A running {@link serveManagementApi}. */
export interface ManagementApi extends AsyncDisposable {
  /** Content of a CLI profile (`--profile <file>.yaml`) that leads here. */
  profile: string;
  uploads: readonly UploadedFunction[];
  /** What was refused, as `<method> <path>: <reason>`. */
  refused: readonly string[];
}

// The ids and tokens of the project and the caller, in the formats that the CLI requires.
interface Project {
  ref: string;
  accessToken: string;
}

const path = z.string().regex(/^[^/\\]/, "is absolute").refine(
  (value) => !value.split("/").some((segment) => segment === "." || segment === ".."),
  "leaves the project",
);

const deployMetadata = z.strictObject({
  name: z.string().optional(),
  entrypoint_path: path,
  import_map_path: path.optional(),
  static_patterns: z.array(path).optional(),
  verify_jwt: z.boolean().optional(),
});

const slugPattern = /^[A-Za-z][A-Za-z0-9_-]*$/;

class Refusal extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

/** Serves one project's Management API on a free port of 127.0.0.1. */
export function serveManagementApi(project: Project): ManagementApi {
  const uploads: UploadedFunction[] = [];
  const refused: string[] = [];

  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const { pathname, searchParams } = new URL(request.url);
      try {
        if (request.headers.get("authorization") !== `Bearer ${project.accessToken}`) {
          throw new Refusal(401, "Unauthorized");
        }
        switch (`${request.method} ${pathname}`) {
          case `GET /v1/projects/${project.ref}`:
            return Response.json(projectResponse(project.ref));
          case `POST /v1/projects/${project.ref}/functions/deploy`: {
            const upload = await readUpload(request, searchParams);
            uploads.push(upload);
            return Response.json(deployResponse(upload), { status: 201 });
          }
          default:
            throw new Refusal(404, "no such endpoint here");
        }
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        refused.push(`${request.method} ${pathname}: ${error.message}`);
        return Response.json({ message: error.message }, { status: error.status });
      }
    },
  );

  const url = `http://127.0.0.1:${server.addr.port}`;
  return {
    profile:
      `name: loopback\napi_url: ${url}\ndashboard_url: ${url}/dashboard\nproject_host: localhost\n`,
    uploads,
    refused,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function readUpload(request: Request, query: URLSearchParams): Promise<UploadedFunction> {
  const slug = query.get("slug") ?? "";
  if (!slugPattern.test(slug)) throw new Refusal(400, `slug "${slug}" is not a function's name`);
  const unknown = [...query.keys()].filter((name) => name !== "slug" && name !== "bundleOnly");
  if (unknown.length > 0) throw new Refusal(400, `unknown query parameter ${unknown.join(", ")}`);
  if (!request.headers.get("content-type")?.startsWith("multipart/form-data;")) {
    throw new Refusal(415, "the body is not multipart/form-data");
  }

  const form = await request.formData();
  const files = new Map<string, Uint8Array>();
  for (const [name, part] of form) {
    if (name === "metadata") continue;
    if (name !== "file" || !(part instanceof File)) throw new Refusal(400, `unknown part ${name}`);
    const checked = path.safeParse(part.name);
    if (!checked.success) throw new Refusal(400, `file "${part.name}" ${reasons(checked.error)}`);
    if (files.has(part.name)) throw new Refusal(400, `file "${part.name}" was sent twice`);
    files.set(part.name, await part.bytes());
  }

  const metadata = readMetadata(form.getAll("metadata"));
  for (const named of [metadata.entrypoint_path, metadata.import_map_path]) {
    if (named !== undefined && !files.has(named)) throw new Refusal(400, `${named} was not sent`);
  }
  return { slug, metadata, files };
}

function readMetadata(parts: FormDataEntryValue[]): DeployMetadata {
  const [part, ...rest] = parts;
  if (typeof part !== "string" || rest.length > 0) {
    throw new Refusal(400, "there is not exactly one text part metadata");
  }
  let json: unknown;
  try {
    json = JSON.parse(part);
  } catch {
    throw new Refusal(400, "metadata is not JSON");
  }
  const metadata = deployMetadata.safeParse(json);
  if (!metadata.success) throw new Refusal(400, `metadata: ${reasons(metadata.error)}`);
  return metadata.data;
}

function reasons(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`.trim()).join("; ");
}

function projectResponse(ref: string): Record<string, unknown> {
  return {
    id: ref,
    ref,
    organization_id: "tsrqponmlkjihgfedcba",
    organization_slug: "tsrqponmlkjihgfedcba",
    name: "provision-machine",
    region: "us-east-1",
    created_at: "2026-01-01T00:00:00Z",
    status: "ACTIVE_HEALTHY",
    database: {
      host: "127.0.0.1",
      version: "17.6.1.000",
      postgres_engine: "17",
      release_channel: "ga",
    },
  };
}

function deployResponse({ slug, metadata }: UploadedFunction): Record<string, unknown> {
  return {
    id: "00000000-0000-4000-8000-000000000000",
    slug,
    name: metadata.name ?? slug,
    status: "ACTIVE",
    version: 1,
    verify_jwt: metadata.verify_jwt ?? true,
    import_map: metadata.import_map_path !== undefined,
    entrypoint_path: metadata.entrypoint_path,
    import_map_path: metadata.import_map_path,
  };
}
