/**
 * Which Deno runs the function. The test suite stays on the project's Deno, while the function
 * can be run by the one that the hosted runtime has.
 */

/** The version that supabase/edge-runtime is built on (its deno/Cargo.toml). */
export const HOSTED_DENO_VERSION = "2.1.4";

const resolvedVersions = new Map<string, Promise<string>>();

/**
 * Path of the Deno that is to run the function: `FUNCTION_DENO` (a path), else
 * `FUNCTION_DENO_VERSION` (a version, fetched from npm), else the one that runs this.
 *
 * @throws Error when both are set, or it is no version, or npm does not have it
 */
export async function resolveFunctionDeno(
  env: Partial<Record<string, string>> = Deno.env.toObject(),
): Promise<string> {
  const path = env.FUNCTION_DENO || undefined;
  const version = env.FUNCTION_DENO_VERSION || undefined;
  if (path !== undefined && version !== undefined) {
    throw new Error("Set FUNCTION_DENO or FUNCTION_DENO_VERSION, not both");
  }
  if (version !== undefined) return await denoFromNpm(version);
  return path ?? Deno.execPath();
}

/** Path of a Deno of this version, installed by npx if need be. */
export function denoFromNpm(version: string): Promise<string> {
  if (!/^\d+\.\d+\.\d+$/.test(version)) {
    throw new Error(`"${version}" is no version of Deno, which looks like 2.1.4`);
  }
  let path = resolvedVersions.get(version);
  if (path === undefined) {
    path = askNpx(version);
    resolvedVersions.set(version, path);
  }
  return path;
}

async function askNpx(version: string): Promise<string> {
  const npx = Deno.build.os === "windows" ? "npx.cmd" : "npx";
  const print = "console.log(Deno.version.deno, Deno.execPath())";
  const { success, stdout, stderr } = await new Deno.Command(npx, {
    args: ["-y", `deno@${version}`, "eval", "--no-config", "--no-lock", print],
    stdin: "null",
  }).output().catch((error) => {
    throw new Error(`Cannot run npx to get Deno ${version}: ${error.message}`);
  });
  const [, path] = new RegExp(`^${version.replaceAll(".", "\\.")} (.+)$`, "m")
    .exec(new TextDecoder().decode(stdout)) ?? [];
  if (!success || path === undefined) {
    throw new Error(
      `npx did not give Deno ${version}: ${new TextDecoder().decode(stderr).trim()}`,
    );
  }
  return path.trim();
}
