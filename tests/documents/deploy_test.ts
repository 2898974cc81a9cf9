/**
 * Deploys the function with the real Supabase CLI to a Management API on loopback, and boots what
 * was uploaded, alone, under the Deno version that the hosted runtime is compatible with.
 */
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { z } from "zod";
import { CommandError } from "../../dev/tasks/supabase-cli.ts";
import { ROUTES } from "../../supabase/functions/provision-machine/routes.ts";
import {
  bootUpload,
  deployCopy,
  FUNCTION,
  hostedDeno,
  PROJECT_ROOT,
  temporaryFolder,
} from "../support/deployment.ts";
import { readLock, UPDATE_LOCK } from "../support/lock-file.ts";

const SECRET_KEY = "sb_secret_deploy_test";

Deno.test("the function deploys, and what was uploaded boots on the hosted Deno", async (t) => {
  await using folder = await temporaryFolder();
  const upload = await deployCopy(join(folder.path, "project"));

  await t.step("only the function's own source, its imports and its lock are sent", async () => {
    const source = (await filesIn(join(PROJECT_ROOT, FUNCTION))).filter((f) => f.endsWith(".ts"));
    assert.deepEqual(
      [...upload.files.keys()].sort(),
      [...source, "deno.json", "deno.lock"].map((file) => `${FUNCTION}/${file}`).sort(),
    );
  });

  await t.step("the gateway leaves tokens to the function", () => {
    assert.deepEqual(upload.metadata, {
      name: "provision-machine",
      entrypoint_path: `${FUNCTION}/index.ts`,
      import_map_path: `${FUNCTION}/deno.json`,
      static_patterns: [`${FUNCTION}/deno.lock`],
      verify_jwt: false,
    });
  });

  const uploaded = join(folder.path, "uploaded");
  for (const [path, content] of upload.files) {
    await Deno.mkdir(dirname(join(uploaded, path)), { recursive: true });
    await Deno.writeFile(join(uploaded, path), content);
  }
  const deno = await hostedDeno();

  await t.step(
    "without the platform's settings every call but a preflight reports that",
    async () => {
      await using running = await bootUpload(deno, uploaded, {});
      await assertPreflight(running.url);
      await assertPostIsRefused(running.url, 500, "configuration_error");
    },
  );

  await t.step("a call without a token is refused", async () => {
    await using running = await bootUpload(deno, uploaded, {
      SUPABASE_URL: "http://127.0.0.1:9",
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: SECRET_KEY }),
    });
    await assertPreflight(running.url);
    await assertPostIsRefused(running.url, 401, "unauthorized");
  });

  await t.step("modules that are loaded later were uploaded too", async () => {
    await using running = await bootUpload(deno, uploaded, {
      SUPABASE_URL: "http://127.0.0.1:9",
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: SECRET_KEY }),
    });
    const answers: Record<string, string> = {};
    for (const { method, path } of ROUTES) {
      const response = await fetch(running.url + path.replace("{machineId}", "machine-1"), {
        method,
        headers: { apikey: SECRET_KEY },
      });
      answers[`${method} ${path}`] = codeOf(await response.text());
    }
    // There is no upstream: each handler reports that in its own way.
    assert.deepEqual(answers, {
      "POST /": "invalid_request",
      "DELETE /{machineId}": "database_error",
      "POST /{machineId}/start": "configuration_error",
      "POST /{machineId}/stop": "configuration_error",
      "POST /{machineId}/suspend": "configuration_error",
      "POST /{machineId}/connect": "configuration_error",
      "GET /health": "fail",
      "GET /openapi.json": "OpenAPI 3.1.1",
      "GET /metrics": "database_error",
      "POST /reconcile": "database_error",
    });
    await assertPostIsRefused(running.url, 401, "unauthorized", { authorization: "Bearer a.b.c" });
  });

  await t.step("the lock file names every package that was loaded", async () => {
    // Deno adds what the lock file lacks.
    assert.deepEqual(
      (await readLock(join(uploaded, FUNCTION, "deno.lock"))).npm,
      (await readLock(join(PROJECT_ROOT, FUNCTION, "deno.lock"))).npm,
      UPDATE_LOCK,
    );
  });
});

Deno.test("a deploy that the Management API refuses fails with its reason", async () => {
  await using folder = await temporaryFolder();
  await assert.rejects(
    deployCopy(join(folder.path, "project"), { accessToken: `sbp_${"f".repeat(40)}` }),
    (error) => error instanceof CommandError && error.message.includes("Unauthorized"),
  );
});

async function assertPreflight(url: string): Promise<void> {
  const response = await fetch(url, {
    method: "OPTIONS",
    headers: {
      origin: "https://app.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type,idempotency-key",
    },
  });
  await response.body?.cancel();
  assert.ok(response.ok, `preflight: ${response.status}`);
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
  assert.match(response.headers.get("access-control-allow-methods") ?? "", /\bPOST\b/);
  const allowed = response.headers.get("access-control-allow-headers") ?? "";
  for (const header of ["authorization", "content-type", "idempotency-key"]) {
    assert.ok(allowed.toLowerCase().includes(header), `${header} is not among ${allowed}`);
  }
}

/** The code of an error, the status of a health report, or what the description is written in. */
function codeOf(text: string): string {
  const { code, status, openapi } = z.object({
    code: z.string(),
    status: z.string(),
    openapi: z.string(),
  }).partial().parse(JSON.parse(text));
  return code ?? status ?? (openapi === undefined ? text : `OpenAPI ${openapi}`);
}

async function assertPostIsRefused(
  url: string,
  status: number,
  code: string,
  credentials: Record<string, string> = {},
): Promise<void> {
  const headers = { "content-type": "application/json", ...credentials };
  const response = await fetch(url, { method: "POST", headers, body: "{}" });
  const body = z.object({ code: z.string(), requestId: z.string() }).parse(await response.json());
  assert.deepEqual([response.status, body.code], [status, code]);
  assert.equal(response.headers.get("x-request-id"), body.requestId);
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
}

/** @returns every file under `folder`, relative to it, with `/` as the separator */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"));
}
