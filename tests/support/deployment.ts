/**
 * Deploys a copy of the project with the real Supabase CLI to a Management API on loopback, and
 * boots what was uploaded as the hosted runtime does.
 */
import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { environmentWithout, runNpmPackage, runSupabaseCli } from "../../dev/tasks/supabase-cli.ts";
import { HOSTED_DENO_VERSION } from "../../dev/stack/function/mod.ts";
import { serveManagementApi, type UploadedFunction } from "./management-api.ts";

export const PROJECT_ROOT = resolve(import.meta.dirname ?? ".", "../..");
/** The function's folder, from the project's root. */
export const FUNCTION = "supabase/functions/provision-machine";
const PROJECT = { ref: "abcdefghijklmnopqrst", accessToken: `sbp_${"0123456789".repeat(4)}` };

/** Deploys a copy of the project, beside files that must not leave the developer's machine. */
export async function deployCopy(
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
export async function hostedDeno(): Promise<string> {
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
export async function bootUpload(
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

/** A new folder. Disposing removes it. */
export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "deploy-test-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
