/**
 * A freshly initialised PGlite data directory, kept between starts.
 *
 * PGlite's initdb takes about 3 s. What is kept holds nothing of this project, so it can only be
 * stale when PGlite itself changes, and its version is part of the file name.
 */
import { PGlite } from "@electric-sql/pglite";
import { type DataDir, packDataDir, readDataDir } from "./data-dir.ts";
import { forget, keep, readKept } from "./kept-files.ts";

let inMemory: Promise<Uint8Array> | undefined;

/**
 * The data directory: from memory, else from `cacheDir`, else made and stored.
 * A cache that cannot be read or written costs time and nothing else.
 *
 * @param cacheDir where to keep the file; `null` keeps it in memory only
 */
export async function freshDataDir(
  cacheDir: string | null,
  onProgress: (step: string) => void = () => {},
): Promise<DataDir> {
  inMemory ??= readOrCreate(cacheDir, onProgress).catch((error) => {
    inMemory = undefined;
    throw error;
  });
  return readDataDir((await inMemory).slice());
}

/** Forgets the data directory, in memory and on disk: for one that does not load. */
export async function forgetDataDir(cacheDir: string | null): Promise<void> {
  inMemory = undefined;
  if (cacheDir !== null) await forget(cacheFile(cacheDir));
}

async function readOrCreate(
  cacheDir: string | null,
  onProgress: (step: string) => void,
): Promise<Uint8Array> {
  if (cacheDir !== null) {
    const stored = await readKept(cacheFile(cacheDir));
    if (stored !== undefined) return stored;
  }
  onProgress("initialising PGlite (once per PGlite version, about 3 s)");
  const database = await PGlite.create("memory://");
  const packed = await packDataDir(database);
  await database.close();
  if (cacheDir !== null) {
    await keep(cacheFile(cacheDir), packed).catch((error) =>
      onProgress(`could not keep PGlite's data directory in ${cacheDir}: ${error.message}`)
    );
  }
  return packed;
}

/** The file for the PGlite that is installed. */
export function cacheFile(cacheDir: string): string {
  return `${cacheDir}/pglite-${versionOf("@electric-sql/pglite")}-initdb.bin`;
}

/** The version of a package that is imported by this name. */
export function versionOf(name: string): string {
  const version = /[@/](\d+\.\d+\.\d+[^/]*)/.exec(import.meta.resolve(name))?.[1];
  if (version === undefined) throw new Error(`cannot determine the version of ${name}`);
  return version;
}
