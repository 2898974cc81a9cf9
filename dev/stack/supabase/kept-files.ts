/** Files that are kept between starts, to save the time of making them again. */

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

/** What is kept in the file, or `undefined`. Reading it says that it is still in use. */
export async function readKept(file: string): Promise<Uint8Array | undefined> {
  const bytes = await Deno.readFile(file).catch(() => undefined);
  const now = new Date();
  await Deno.utime(file, now, now).catch(() => {/* then it may be removed earlier */});
  return bytes;
}

/** Written beside its place and renamed, so that parallel starts never see half a file. */
export async function keep(file: string, bytes: Uint8Array): Promise<void> {
  const directory = file.slice(0, file.lastIndexOf("/"));
  await Deno.mkdir(directory, { recursive: true });
  const temporary = await Deno.makeTempFile({ dir: directory, suffix: ".tmp" });
  try {
    await Deno.writeFile(temporary, bytes);
    await Deno.rename(temporary, file);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {/* the rename may have taken it */});
    throw error;
  }
}

/** Removes a file that turned out to be of no use. */
export async function forget(file: string): Promise<void> {
  await Deno.remove(file).catch(() => {/* never written, or not ours to remove */});
}

/** Removes all files with this prefix but those that were used last. */
export async function forgetAllBut(
  count: number,
  directory: string,
  prefix: string,
): Promise<void> {
  const files: { file: string; usedAt: number }[] = [];
  for await (const { name } of Deno.readDir(directory)) {
    if (!name.startsWith(prefix)) continue;
    const file = `${directory}/${name}`;
    // Another start may have removed it just now.
    const info = await Deno.stat(file).catch(() => undefined);
    if (info !== undefined) files.push({ file, usedAt: info.mtime?.getTime() ?? 0 });
  }
  files.sort((a, b) => b.usedAt - a.usedAt);
  for (const { file } of files.slice(count)) await forget(file);
}
