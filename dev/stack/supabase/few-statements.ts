/**
 * Makes lite on PGlite send few statements for a request: each takes 0.5 ms of processor time, and
 * lite sends eleven to say who asks what.
 */
import { z } from "zod";
import type { PgliteConnection } from "@supabase/lite/pglite";

/** What lite's `applyJwtSessionContext` reads of its second argument. */
const VarsSchema = z.object({
  auth: z.object({
    role: z.string().optional(),
    uid: z.unknown().optional(),
    jwt: z.unknown().optional(),
  }).optional(),
  storage: z.object({ operation: z.unknown().optional() }).optional(),
});

/** What lite's `applyRpcRequestGucs` reads of its second argument. */
const RpcSchema = z.object({
  method: z.string(),
  path: z.string(),
  requestHeaders: z.record(z.string(), z.string()).optional(),
});

const TRANSACTION_STATEMENTS = ["BEGIN", "COMMIT", "ROLLBACK"];

/**
 * Sets a request's context in one statement, as PostgREST does
 * (https://docs.postgrest.org/en/stable/references/transactions.html#request-level-context), and
 * copies fewer parsers for each result.
 *
 * @throws Error when lite has no such methods any more
 */
export async function sendFewStatements(connection: PgliteConnection): Promise<void> {
  const { driver } = connection;
  // A message instead of six: the extended protocol is of no use where nothing is passed.
  const query = driver.query.bind(driver);
  driver.query = async <T>(sql: string, ...rest: [unknown[]?, QueryOptions?]) => {
    if (!TRANSACTION_STATEMENTS.includes(sql)) return await query<T>(sql, ...rest);
    const [result] = await driver.exec(sql);
    return { rows: [], fields: [], affectedRows: result?.affectedRows ?? 0 };
  };

  const setAll = async (settings: Record<string, string>) => {
    const names = Object.keys(settings);
    const calls = names.map((name, index) => `set_config('${name}', $${index + 1}, true)`);
    await query(`select ${calls.join(", ")}`, Object.values(settings));
  };
  replace(connection, "applyJwtSessionContext", async (_transaction, given) => {
    const { auth, storage } = VarsSchema.parse(given);
    const role = auth?.role || "anon";
    await setAll({
      role,
      "request.jwt.claim.sub": String(auth?.uid ?? ""),
      "request.jwt.claim.role": role,
      "storage.operation": String(storage?.operation ?? ""),
      ...(typeof auth?.jwt === "object" && auth.jwt !== null
        ? { "request.jwt.claims": JSON.stringify(auth.jwt) }
        : {}),
    });
  });
  replace(connection, "applyRpcRequestGucs", async (_transaction, given) => {
    const { method, path, requestHeaders = {} } = RpcSchema.parse(given);
    await setAll({
      "response.status": "",
      "response.headers": "",
      "request.method": method,
      "request.path": path,
      "request.headers": JSON.stringify(requestHeaders),
    });
  });
  await forgetUnusedParsers(connection);
}

type QueryOptions = Parameters<PgliteConnection["driver"]["query"]>[2];

/** Nothing selects arrays of the catalogue's rows, but PGlite copies their parsers at each query. */
async function forgetUnusedParsers({ driver }: PgliteConnection): Promise<void> {
  const { rows } = await driver.query<{ oid: number }>(`
    select typarray::integer as oid from pg_type where typtype = 'c' and typarray <> 0
      and typnamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
  `);
  const unused = new Set(rows.map(({ oid }) => String(oid)));
  driver.parsers = Object.fromEntries(
    Object.entries(driver.parsers).filter(([oid]) => !unused.has(oid)),
  );
}

/** The methods are private to lite's types. */
function replace(
  connection: PgliteConnection,
  name: string,
  value: (transaction: unknown, given: unknown) => Promise<void>,
): void {
  if (typeof Reflect.get(connection, name) !== "function") {
    throw new Error(`@supabase/lite has no ${name} any more`);
  }
  Object.defineProperty(connection, name, { value, configurable: true });
}
