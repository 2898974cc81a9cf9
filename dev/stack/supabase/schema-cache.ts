/**
 * Reads the schema once, however many requests wait for it.
 *
 * PostgREST reads the schema before it serves. lite does so at the first request, and each request
 * that comes before this is over reads the schema again, some twenty queries of the
 * catalogue: with 160 callers at once on a busy machine, no request was answered for half a minute.
 */
import type { StackDatabase } from "./database.ts";

/** Makes requests that find no cached schema share the read that is under way. */
export function shareSchemaLook(connection: StackDatabase["connection"]): void {
  const look = connection.introspect.bind(connection);
  const forget = connection.clearSchemaCache.bind(connection);
  let underWay: ReturnType<typeof look> | undefined;
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
