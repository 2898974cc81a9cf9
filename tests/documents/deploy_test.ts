/**
 * Deploys the function with the real Supabase CLI to a Management API on loopback, and boots what
 * was uploaded, alone, under the Deno version that the hosted runtime is compatible with.
 */
import assert from "node:assert/strict";
import { cp, readdir } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import {
  CommandError,
  environmentWithout,
  runNpmPackage,
  runSupabaseCli,
  SUPABASE_CLI_VERSION,
} from "../../dev/tasks/supabase-cli.ts";
import { ROUTES } from "../../supabase/functions/provision-machine/routes.ts";
import { HOSTED_DENO_VERSION } from "../../dev/stack/function/mod.ts";
import { serveManagementApi, type UploadedFunction } from "../support/management-api.ts";

const PROJECT_ROOT = resolve(import.meta.dirname ?? ".", "../..");
const FUNCTION = "supabase/functions/provision-machine";
const PROJECT = { ref: "abcdefghijklmnopqrst", accessToken: `sbp_${"0123456789".repeat(4)}` };
const SECRET_KEY = "sb_secret_deploy_test";
const UPDATE_LOCK = "run `deno task lock`";

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
      await using running = await boot(deno, uploaded, {});
      await assertPreflight(running.url);
      await assertPostIsRefused(running.url, 500, "configuration_error");
    },
  );

  await t.step("a call without a token is refused", async () => {
    await using running = await boot(deno, uploaded, {
      SUPABASE_URL: "http://127.0.0.1:9",
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: SECRET_KEY }),
    });
    await assertPreflight(running.url);
    await assertPostIsRefused(running.url, 401, "unauthorized");
  });

  await t.step("what loads later was uploaded too", async () => {
    await using running = await boot(deno, uploaded, {
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
      "POST /{machineId}/connect": "configuration_error",
      "GET /health": "fail",
      "GET /metrics": "database_error",
      "POST /reconcile": "configuration_error",
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

Deno.test("what is deployed has the package versions that the tests ran with", async () => {
  const deployed = await readLock(join(PROJECT_ROOT, FUNCTION, "deno.lock"));
  const project = await readLock(join(PROJECT_ROOT, "deno.lock"));
  // Here `name@version`; in the project's lock also `name@version_<peers that it was given>`.
  const tested = new Map(
    Object.entries(project.npm).map(([key, { integrity }]) => [
      /^.[^@]*@[^_]*/.exec(key)?.[0],
      integrity,
    ]),
  );
  assert.equal(deployed.version, "4", "the only version that the hosted Deno reads");
  for (const [name, { integrity }] of Object.entries(deployed.npm)) {
    assert.equal(integrity, tested.get(name), `${name}: ${UPDATE_LOCK}`);
  }
});

Deno.test("a deploy that the Management API refuses fails with its reason", async () => {
  await using folder = await temporaryFolder();
  await assert.rejects(
    deployCopy(join(folder.path, "project"), { accessToken: `sbp_${"f".repeat(40)}` }),
    (error) => error instanceof CommandError && error.message.includes("Unauthorized"),
  );
});

Deno.test("the deploy workflow runs the Supabase CLI that is tested here", async () => {
  const workflow = await Deno.readTextFile(join(PROJECT_ROOT, ".github/workflows/deploy.yml"));
  const versions = [...workflow.matchAll(/\bsupabase@(\S+)/g)].map(([, version]) => version);
  assert.deepEqual(versions, [SUPABASE_CLI_VERSION]);
});

/** Deploys a copy of the project, beside files that must not leave the developer's machine. */
async function deployCopy(
  copy: string,
  { accessToken = PROJECT.accessToken } = {},
): Promise<UploadedFunction> {
  await cp(join(PROJECT_ROOT, "supabase"), join(copy, "supabase"), { recursive: true });
  for (const file of ["supabase/functions/.env", `${FUNCTION}/.env`]) {
    await Deno.writeTextFile(join(copy, file), "FLY_API_TOKEN=not-for-upload\n");
  }
  await Deno.writeTextFile(join(copy, FUNCTION, "index_test.ts"), 'import "../index.ts";\n');

  await using api = serveManagementApi(PROJECT);
  const profile = join(copy, "profile.yaml");
  await Deno.writeTextFile(profile, api.profile);
  const output = await runSupabaseCli(
    [
      ...["functions", "deploy", "provision-machine", "--use-api", "--yes"],
      ...[`--remote=${PROJECT.ref}`, "--profile", profile],
    ],
    { workdir: copy, env: { SUPABASE_ACCESS_TOKEN: accessToken } },
  );
  assert.doesNotMatch(output.stderr, /warn/i);
  assert.deepEqual(api.refused, []);
  const [upload, ...more] = api.uploads;
  assert.ok(upload !== undefined && more.length === 0, "one function was uploaded");
  assert.equal(upload.slug, "provision-machine");
  return upload;
}

/** @returns the path of the Deno that the hosted runtime is compatible with */
async function hostedDeno(): Promise<string> {
  const { stdout } = await runNpmPackage(
    `deno@${HOSTED_DENO_VERSION}`,
    ["eval", "--no-config", "console.log(Deno.execPath())"],
    { cwd: PROJECT_ROOT, env: environmentWithout("DENO_") },
  );
  return stdout.trim();
}

// The hosted runtime, too, decides where the function's Deno.serve listens.
const LAUNCHER = `
const serve = Deno.serve;
Deno.serve = (...args) => {
  const handler = args.find((arg) => typeof arg === "function") ?? args[0].handler;
  return serve(
    { hostname: "127.0.0.1", port: 0, onListen: ({ port }) => console.log("PORT " + port) },
    handler,
  );
};
await import(Deno.args[0]);
`;

/** Boots the uploaded files as the hosted runtime does: their deno.json, and nothing around it. */
async function boot(
  deno: string,
  uploaded: string,
  settings: Record<string, string>,
): Promise<{ url: string } & AsyncDisposable> {
  const launcher = join(uploaded, "..", "launcher.js");
  await Deno.writeTextFile(launcher, LAUNCHER);
  const entrypoint = pathToFileURL(join(uploaded, FUNCTION, "index.ts")).href;
  const child = new Deno.Command(deno, {
    // Loopback only: nothing that is tested here may reach further.
    args: [
      ...["run", "--allow-env", "--allow-net=127.0.0.1", "--allow-read", "--no-prompt"],
      ...["--config", join(uploaded, FUNCTION, "deno.json"), launcher, entrypoint],
    ],
    cwd: uploaded,
    clearEnv: true,
    env: {
      // Packages may come from behind a proxy whose certificate only the system knows.
      DENO_TLS_CA_STORE: "mozilla,system",
      DENO_NO_UPDATE_CHECK: "1",
      ...environmentWithout("SUPABASE_", "FLY_"),
      NO_COLOR: "1",
      ...settings,
    },
    stdout: "piped",
    stderr: "piped",
  }).spawn();

  let output = "";
  const listening = Promise.withResolvers<string>();
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      output += text;
      const port = /^PORT (\d+)$/m.exec(output)?.[1];
      if (port !== undefined) listening.resolve(port);
    }
  };
  const ended = Promise.all([read(child.stdout), read(child.stderr), child.status]).then(() => {
    listening.reject(new Error(`the function did not start\n${output}`));
  });
  const port = await listening.promise;
  return {
    url: `http://127.0.0.1:${port}/provision-machine`,
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await ended;
    },
  };
}

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

/** Of an error, or the status of a health report. */
function codeOf(text: string): string {
  const { code, status } = z.object({ code: z.string(), status: z.string() }).partial()
    .parse(JSON.parse(text));
  return code ?? status ?? text;
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

const lockFile = z.object({
  version: z.string(),
  npm: z.record(z.string(), z.object({ integrity: z.string() })),
});

async function readLock(path: string): Promise<z.infer<typeof lockFile>> {
  return lockFile.parse(JSON.parse(await Deno.readTextFile(path)));
}

/** @returns every file under `folder`, relative to it, with `/` as the separator */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"));
}

async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "deploy-test-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
