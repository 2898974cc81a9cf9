/**
 * Reads the schema once, however many requests wait for it.
 *
 * PostgREST reads the schema before it serves. lite does so at the first request, and each request
 * that comes before this is over reads the schema again, some twenty queries of the
 * catalogue: with 160 callers at once on a busy machine, no request was answered for half a minute.
 */
import type { StackDatabase } from "./database.ts";

type Connection = StackDatabase["connection"];

/**
 * Makes requests that find no cached schema share the read that is under way.
 *
 * @param known the schema as it is now, if it was read before; then nothing is read until it changes
 */
export function shareSchemaLook(
  connection: Connection,
  known?: Awaited<ReturnType<Connection["introspect"]>>,
): void {
  const look = connection.introspect.bind(connection);
  const forget = connection.clearSchemaCache.bind(connection);
  let underWay: ReturnType<typeof look> | undefined = known && Promise.resolve(known);
  connection.introspect = (options) => {
    // Without the cache the schema has to be read as it is now.
    if (options?.useCache !== true) return look(options);
    if (underWay) return underWay;
    const mine = look(options).finally(() => {
      if (underWay === mine) underWay = undefined;
    });
    return underWay = mine;
  };
  connection.clearSchemaCache = () => {
    underWay = undefined;
    return forget();
  };
}
