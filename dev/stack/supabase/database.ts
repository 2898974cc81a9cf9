/**
 * One Postgres behind one interface: PGlite in memory, or a real server.
 */
// An optional peer of lite: Deno gives it to lite only if it is imported somewhere.
import "postgres";
import { createPgliteConnection, type PgliteConnection } from "@supabase/lite/pglite";
import { createPostgresConnection, type PostgresConnection } from "@supabase/lite/postgres";
import { keepExitCode } from "./exit-code.ts";
import { sendFewStatements } from "./few-statements.ts";
import type { DataDir } from "./data-dir.ts";
import { forgetDataDir, freshDataDir } from "./fresh-data-dir.ts";

/** A row as the driver gives it. */
export type Row = Record<string, unknown>;

/** Runs SQL as the superuser. */
export interface SqlRunner {
  /** One statement with `$1` parameters. */
  query(sql: string, params?: unknown[]): Promise<Row[]>;
  /** Any number of statements, without parameters or result. */
  script(sql: string): Promise<void>;
}

/** A database that the stack runs on. */
export interface StackDatabase extends SqlRunner {
  kind: "pglite" | "postgres";
  /** What lite's `App` works with. */
  connection: PgliteConnection | PostgresConnection;
  /** Runs `work` in one transaction, rolled back when it throws. */
  transaction<T>(work: (transaction: SqlRunner) => Promise<T>): Promise<T>;
  /**
   * Runs `work` while it has a connection to itself, in the order of the calls.
   * PGlite has a single session, on which lite opens a transaction per request without locking it:
   * two requests at once would share one transaction and one role.
   */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
  /** Calls `heard` with what is notified on a channel (LISTEN). @returns how to stop that */
  listen(channel: string, heard: (payload: string) => void): Promise<() => Promise<void>>;
  /** Runs `work` while no other process does so on the same database. */
  alone<T>(work: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Opens PGlite in memory, with an empty database. */
export async function openFreshPglite(
  cacheDir: string | null,
  onProgress: (step: string) => void,
): Promise<StackDatabase> {
  try {
    return await openPglite(await freshDataDir(cacheDir, onProgress));
  } catch {
    onProgress("the kept PGlite data directory does not load; making a new one");
    await forgetDataDir(cacheDir);
    return await openPglite(await freshDataDir(cacheDir, onProgress));
  }
}

/** Opens PGlite in memory, on a data directory. */
export async function openPglite(dataDir: DataDir): Promise<StackDatabase> {
  const connection = await keepExitCode(async () => {
    const pglite = await createPgliteConnection({
      url: "memory://",
      pgliteOptions: { fs: dataDir.fs },
    });
    await pglite.driver.waitReady;
    await sendFewStatements(pglite);
    return pglite;
  });
  const { driver } = connection;
  const runner: SqlRunner = {
    query: async (sql, params = []) => (await driver.query<Row>(sql, params)).rows,
    script: async (sql) => void await driver.exec(sql),
  };
  const inTurn = takingTurns(1);
  const exclusive = <T>(work: () => Promise<T>) => inTurn(() => keepExitCode(work));
  return {
    kind: "pglite",
    connection,
    query: (sql, params) => exclusive(() => runner.query(sql, params)),
    script: (sql) => exclusive(() => runner.script(sql)),
    transaction: (work) =>
      exclusive(async () => {
        await runner.script("begin");
        try {
          const result = await work(runner);
          await runner.script("commit");
          return result;
        } catch (error) {
          await runner.script("rollback");
          throw error;
        }
      }),
    exclusive,
    listen: async (channel, heard) => {
      const stop = await exclusive(() => driver.listen(channel, heard));
      return () => exclusive(() => stop());
    },
    alone: (work) => work(),
    close: () => exclusive(() => connection.close()),
  };
}

/**
 * Opens a real Postgres.
 *
 * @throws Error that names host, port and database (never the password) when it cannot be reached
 */
export async function openPostgres(databaseUrl: string): Promise<StackDatabase> {
  const place = describeDatabaseUrl(databaseUrl);
  const connection = createPostgresConnection({
    url: databaseUrl,
    postgresOptions: {
      max: CONNECTIONS,
      onnotice: () => {},
      connect_timeout: 10,
      types: JSON_AS_LITE_SENDS_IT,
    },
  });
  const { driver } = connection;
  try {
    await driver`select 1`;
  } catch (error) {
    await driver.end({ timeout: 0 });
    throw new Error(`Cannot connect to Postgres at ${place}: ${connectReason(error)}`);
  }
  type Session = Pick<typeof driver, "unsafe">;
  const runner = (session: Session): SqlRunner => ({
    // deno-lint-ignore no-explicit-any -- the driver's own type of a parameter
    query: async (sql, params = []) => [...await session.unsafe(sql, params as any[])],
    script: async (sql) => void await session.unsafe(sql).simple(),
  });
  return {
    kind: "postgres",
    connection,
    ...runner(driver),
    transaction: async <T>(work: (transaction: SqlRunner) => Promise<T>) => {
      let result: { value: T } | undefined;
      await driver.begin(async (session: Session) => {
        result = { value: await work(runner(session)) };
      });
      if (result === undefined) throw new Error("the transaction ended without its result");
      return result.value;
    },
    exclusive: takingTurns(CONNECTIONS),
    listen: async (channel, heard) => {
      const { unlisten } = await driver.listen(channel, heard);
      return unlisten;
    },
    alone: async (work) => {
      const session = await driver.reserve();
      try {
        await session`select pg_advisory_lock(${START_LOCK})`;
        return await work();
      } finally {
        await session`select pg_advisory_unlock(${START_LOCK})`;
        session.release();
      }
    },
    close: () => driver.end({ timeout: 5 }),
  };
}

/**
 * lite writes JSON itself before it hands it to a driver. PGlite takes that as it is; postgres.js
 * would write it once more, and an object would arrive as a string.
 */
const JSON_AS_LITE_SENDS_IT = Object.fromEntries(
  Object.entries({ json: 114, jsonb: 3802 }).map(([name, oid]) => [name, {
    to: oid,
    from: [oid],
    serialize: (value: unknown) => typeof value === "string" ? value : JSON.stringify(value),
    parse: (text: string) => JSON.parse(text),
  }]),
);

/** As many as PostgREST has by default. */
const CONNECTIONS = 10;

/** Key of the advisory lock that a start holds; any number that is not used elsewhere. */
const START_LOCK = 5_432_154_321;

/** `host:port/database` of a connection string, without its credentials. */
export function describeDatabaseUrl(databaseUrl: string): string {
  if (!URL.canParse(databaseUrl) || !/^postgres(ql)?:/.test(databaseUrl)) {
    throw new Error("databaseUrl must look like postgres://user:password@host:5432/database");
  }
  const { hostname, port, pathname } = new URL(databaseUrl);
  return `${hostname || "localhost"}:${port || "5432"}${pathname}`;
}

function connectReason(error: unknown): string {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : "";
  if (code === "ECONNREFUSED") return "connection refused. Is it running?";
  return error instanceof Error && error.message !== "" ? error.message : String(code || error);
}

/** Runs so much work at a time, the rest in the order in which it came. */
function takingTurns(atOnce: number): <T>(work: () => Promise<T>) => Promise<T> {
  let free = atOnce;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}
