/** Reads a `deno.lock`: its version, and the hash of each package. */
import { z } from "zod";

/** What to do when a lock file lacks a package. */
export const UPDATE_LOCK = "run `deno task lock`";

const lockFile = z.object({
  version: z.string(),
  npm: z.record(z.string(), z.object({ integrity: z.string() })),
});

export async function readLock(path: string): Promise<z.infer<typeof lockFile>> {
  return lockFile.parse(JSON.parse(await Deno.readTextFile(path)));
}
