/** Opens a stack's database and brings it to where the last migration leaves it. */
import { openFreshPglite, openPglite, openPostgres, type StackDatabase } from "./database.ts";
import {
  keepDatabase,
  type KeptDatabase,
  keptDatabaseFile,
  readKeptDatabase,
} from "./kept-database.ts";
import { forget } from "./kept-files.ts";
import type { StackKeys } from "./keys.ts";
import { LiteService } from "./lite-service.ts";
import { applyMigrations, type Migration } from "./migrations.ts";
import { keepLiteFromGranting, preparePlatform } from "./platform.ts";
import { answerLikePostgrest } from "./postgrest-errors.ts";
import { shareSchemaLook } from "./schema-cache.ts";

/** What a database is prepared with. */
export interface Plan {
  keys: StackKeys;
  signingKeys: ConstructorParameters<typeof LiteService>[2];
  migrations: Migration[];
  exposeNewTables: boolean;
  onProgress: (step: string) => void;
}

/** A database that is ready, with the services on it. */
export interface Prepared {
  database: StackDatabase;
  lite: LiteService;
}

/**
 * Prepares a real Postgres.
 *
 * @throws Error when it cannot be reached or a migration fails; it is closed then
 */
export async function prepareOnPostgres(plan: Plan, databaseUrl: string): Promise<Prepared> {
  return await prepare(plan, await openPostgres(databaseUrl));
}

/**
 * Prepares PGlite.
 *
 * @param options `cacheDir`: where to keep what took time; `keep`: also the database itself
 * @throws Error when a migration fails; nothing is left open then
 */
export async function prepareOnPglite(
  plan: Plan,
  { cacheDir, keep }: { cacheDir: string | null; keep: boolean },
): Promise<Prepared> {
  const { onProgress } = plan;
  if (cacheDir === null || !keep) {
    return await prepare(plan, await openFreshPglite(cacheDir, onProgress));
  }
  const file = await keptDatabaseFile(cacheDir, plan.migrations, plan.exposeNewTables);
  const kept = await readKeptDatabase(file, onProgress);
  if (kept !== undefined) {
    try {
      return await load(plan, kept);
    } catch (error) {
      onProgress(`the kept database does not load, making a new one: ${error}`);
      await forget(file);
    }
  }
  const prepared = await prepare(plan, await openFreshPglite(cacheDir, onProgress));
  await keepDatabase(file, prepared.database, onProgress);
  return prepared;
}

async function prepare(plan: Plan, database: StackDatabase): Promise<Prepared> {
  return await orClose(database, async () => {
    answerLikePostgrest(database.connection);
    shareSchemaLook(database.connection);
    const lite = new LiteService(database, plan.keys, plan.signingKeys);
    await database.alone(async () => {
      await lite.ensureSchema();
      await preparePlatform(database, plan.exposeNewTables);
      await keepLiteFromGranting(database);
      await applyMigrations(database, plan.migrations, plan.onProgress);
    });
    return { database, lite };
  });
}

async function load(plan: Plan, kept: KeptDatabase): Promise<Prepared> {
  const last = plan.migrations.at(-1)?.file;
  plan.onProgress(`the database, kept from an earlier start with the migrations up to ${last}`);
  const database = await openPglite(kept.dataDir);
  return await orClose(database, async () => {
    answerLikePostgrest(database.connection);
    shareSchemaLook(database.connection, kept.schema);
    await keepLiteFromGranting(database);
    await database.script(kept.drawnAnew);
    return { database, lite: new LiteService(database, plan.keys, plan.signingKeys) };
  });
}

async function orClose<T>(database: StackDatabase, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await database.close();
    throw error;
  }
}
