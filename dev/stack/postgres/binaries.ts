/** Where the programs of an installed Postgres are, and as which user they can run. */

/** The programs used here; a directory that lacks one of them is no server's. */
const PROGRAMS = ["initdb", "pg_ctl", "postgres"];
/** Debian and Ubuntu keep the server's programs off the PATH, by major version. */
const DEBIAN_ROOT = "/usr/lib/postgresql";

/** What to do about a missing Postgres, in one sentence. */
export const INSTALL_POSTGRES = "Postgres was not found: install its server programs (Debian and " +
  "Ubuntu: apt-get install postgresql) or put initdb, pg_ctl and postgres on the PATH";

/**
 * Directory with the server programs that POSTGRES_BINARIES names, or else with the newest installed
 * ones, or null.
 */
export async function findPostgres(
  path: string = Deno.env.get("PATH") ?? "",
  debianRoot: string = DEBIAN_ROOT,
  chosen: string = Deno.env.get("POSTGRES_BINARIES") ?? "",
): Promise<string | null> {
  const candidates = chosen === ""
    ? [...await debianDirectories(debianRoot), ...path.split(":")]
    : [chosen];
  for (const directory of candidates) {
    if (directory !== "" && await hasPrograms(directory)) return directory;
  }
  return null;
}

async function debianDirectories(root: string): Promise<string[]> {
  const versions: string[] = [];
  try {
    for await (const { name } of Deno.readDir(root)) versions.push(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return versions.sort((a, b) => Number(b) - Number(a)).map((version) => `${root}/${version}/bin`);
}

async function hasPrograms(directory: string): Promise<boolean> {
  const present = await Promise.all(PROGRAMS.map(async (program) => {
    try {
      return (await Deno.stat(`${directory}/${program}`)).isFile;
    } catch {
      // Not there, or not for us to see: either way there is nothing to run.
      return false;
    }
  }));
  return present.every(Boolean);
}

/** A user of this machine, as the operating system numbers it. */
export interface SystemUser {
  uid: number;
  gid: number;
}

/**
 * The user to run the server as: null for the current user, and for root, as which Postgres
 * refuses to run, the user `postgres` of Debian's package, else `nobody`.
 *
 * @throws Error when this runs as root and neither user exists
 */
export async function serverUser(): Promise<SystemUser | null> {
  if (Deno.uid() !== 0) return null;
  for (const line of (await Deno.readTextFile("/etc/passwd")).split("\n").toSorted(postgresFirst)) {
    const [name, , uid, gid] = line.split(":");
    if (name === "postgres" || name === "nobody") return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error("Postgres does not run as root, and there is no user postgres or nobody");
}

function postgresFirst(a: string, b: string): number {
  return Number(b.startsWith("postgres:")) - Number(a.startsWith("postgres:"));
}
