/**
 * PGlite sets the exit code of the whole process to Postgres' own: 99 when it starts, 100 after
 * each SQL error (its Emscripten runtime assigns `process.exitCode`). A program that did all it
 * should would then end as failed.
 */
const SET_BY_PGLITE = [99, 100];

/** Runs work on PGlite and gives the process the exit code back that it had. */
export async function keepExitCode<T>(work: () => Promise<T>): Promise<T> {
  const before = Deno.exitCode;
  try {
    return await work();
  } finally {
    if (SET_BY_PGLITE.includes(Deno.exitCode)) {
      Deno.exitCode = SET_BY_PGLITE.includes(before) ? 0 : before;
    }
  }
}
