/**
 * Writes the API's description, which the function serves, from its routes, schemas and codes, or
 * checks (`--check`) that the committed file matches them.
 */
import { openApiDocument } from "../openapi/document.ts";
import { type GeneratedFile, runTask } from "./generated-file.ts";

/** A module and no .json: the Supabase CLI uploads what `import("…")` alone names. */
export const OPENAPI_FILE: GeneratedFile = {
  path: "supabase/functions/provision-machine/openapi/document.ts",
  source: "the routes, schemas and codes",
  task: "openapi",
  generate: () =>
    Promise.resolve(
      "/** Written by `deno task openapi`: the API as OpenAPI 3.1. */\n" +
        `export const OPENAPI: Record<string, unknown> = ${
          JSON.stringify(openApiDocument(), null, 2)
        };\n`,
    ),
};

if (import.meta.main) Deno.exit(await runTask(OPENAPI_FILE, Deno.args));
