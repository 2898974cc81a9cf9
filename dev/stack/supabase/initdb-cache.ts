/**
 * A freshly initialised PGlite data directory, kept between starts.
 *
 * PGlite's initdb takes about 3 s, loading its result 0.4 s. What is kept holds nothing of this
 * project (migrations run at every start), so it can only be stale when PGlite itself changes,
 * and its version is part of the file name.
 */
import { PGlite } from "@electric-sql/pglite";

let inMemory: Promise<Blob> | undefined;

/**
 * The data directory as a tar archive: from memory, else from `cacheDir`, else made and stored.
 * A cache that cannot be read or written costs time and nothing else.
 *
 * @param cacheDir where to keep the file; `null` keeps it in memory only
 */
export function freshDataDir(
  cacheDir: string | null,
  onProgress: (step: string) => void,
): Promise<Blob> {
  inMemory ??= readOrCreate(cacheDir, onProgress).catch((error) => {
    inMemory = undefined;
    throw error;
  });
  return inMemory;
}

/** Forgets the data directory, in memory and on disk: for one that PGlite refused to load. */
export async function forgetDataDir(cacheDir: string | null): Promise<void> {
  inMemory = undefined;
  if (cacheDir !== null) {
    await Deno.remove(cacheFile(cacheDir)).catch(
      () => {/* never written, or not ours to remove */},
    );
  }
}

/** The operating system's directory for caches, or `null` when the environment names none. */
export function defaultCacheDir(): string | null {
  const env = (name: string) => Deno.env.get(name) || undefined;
  const home = env("HOME");
  const base = Deno.build.os === "windows"
    ? env("LOCALAPPDATA")
    : Deno.build.os === "darwin"
    ? home && `${home}/Library/Caches`
    : env("XDG_CACHE_HOME") ?? (home && `${home}/.cache`);
  return base ? `${base}/provision-machine` : null;
}

async function readOrCreate(
  cacheDir: string | null,
  onProgress: (step: string) => void,
): Promise<Blob> {
  if (cacheDir !== null) {
    const stored = await Deno.readFile(cacheFile(cacheDir)).catch(() => undefined);
    if (stored !== undefined) return new Blob([stored]);
  }
  onProgress("initialising PGlite (once per PGlite version, about 3 s)");
  const database = await PGlite.create("memory://");
  const dataDir = await database.dumpDataDir("none");
  await database.close();
  if (cacheDir !== null) {
    await store(cacheDir, dataDir).catch((error) =>
      onProgress(`could not keep PGlite's data directory in ${cacheDir}: ${error.message}`)
    );
  }
  return dataDir;
}

/** Written beside its place and renamed, so that parallel starts never see half a file. */
async function store(cacheDir: string, dataDir: Blob): Promise<void> {
  await Deno.mkdir(cacheDir, { recursive: true });
  const temporary = await Deno.makeTempFile({ dir: cacheDir, prefix: "pglite-", suffix: ".tmp" });
  try {
    await Deno.writeFile(temporary, dataDir.stream());
    await Deno.rename(temporary, cacheFile(cacheDir));
  } catch (error) {
    await Deno.remove(temporary).catch(() => {/* the rename may have taken it */});
    throw error;
  }
}

/** The file for the PGlite that is installed. */
export function cacheFile(cacheDir: string): string {
  const version = /pglite[@/](\d+\.\d+\.\d+[^/]*)/.exec(
    import.meta.resolve("@electric-sql/pglite"),
  )?.[1];
  if (version === undefined) {
    throw new Error("cannot determine the version of @electric-sql/pglite");
  }
  return `${cacheDir}/pglite-${version}-data-dir.tar`;
}
